// The intermediate representation: a graph of primitive operations on typed values. Plain values, no behaviour hidden.
// Every primitive is one kernel when nothing is fused. Shapes are concrete: the batch is chosen when a graph is loaded.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/tensor.h"
#include "base/weight_recipe.h"

namespace duet {

// B batch, T tokens, D width, H heads. Weight roles in brackets.
enum class OpKind : int {
  patch_extract,  // (B, C, h, w) -> (B, patches, C * patch * round_up(patch, 8)); attribute patch
  matmul,         // x (..., K) -> (..., N) by [weight] (N, K); after patch_extract the weight is (N, C, patch, patch)
  bias_add,       // + [bias] (N)
  gelu,           // exact, by erf
  gelu_tanh,
  quick_gelu,  // x sigmoid(1.702 x)
  silu,
  add,               // x + y, same shape
  layer_norm,        // x [, its row sums]: over the last dimension; [gamma], [beta]; attribute epsilon
  row_sums,          // x (..., D) -> (tiles, rows, 2) f32: of a part of each row, its sum and its sum of squares
  gather,            // ids (B, T) -> (B, T, D) from [table] (V, D)
  prepend_token,     // (B, T, D) -> (B, T + 1, D), row 0 is [class_token] (D)
  broadcast_token,   // no input -> (B, 1, D) from [token] (D): a learned probe
  add_position,      // + [position] (T, D), the same for every batch item
  attention_scores,  // q (B, Tq, D), k (B, Tk, D) -> (B, H, Tq, Tk); attribute heads
  scale,             // * attribute value
  causal_mask,       // scores where key > query become minus infinity
  padding_mask,      // scores, mask (B, Tk) i32: minus infinity where the mask is 0
  softmax,           // over the last dimension
  attention_values,  // p (B, H, Tq, Tk), v (B, Tk, D) -> (B, Tq, D)
  pool,              // x (B, T, D) [, ids (B, T) for eot] -> (B, D); attributes pool, eot_token
  l2_normalize,      // over the last dimension; f32 result
  similarity,        // image (Bi, P) f32, text (Bt, P) f32 -> (Bi, Bt) f32: exp([scale]) i t' + [bias] (bias optional)
};
std::string_view op_name(OpKind op);

// Columns that a tile of row sums is of, but for the last. A kernel may cut rows otherwise: what is read are the sums
// over all tiles.
inline constexpr std::int64_t kRowSumColumns = 64;

struct TensorType {
  Dtype dtype = Dtype::f16;
  Shape shape;
  bool operator==(const TensorType&) const = default;
};

using ValueId = int;  // index into Graph::values
using NodeId = int;   // index into Graph::nodes
inline constexpr int kNone = -1;

struct Value {
  std::string name;  // unique
  TensorType type;
  NodeId producer = kNone;  // kNone for an input of the graph
  bool operator==(const Value&) const = default;
};

struct WeightRef {
  std::string role;  // "weight", "bias", "gamma", ...
  WeightSource source;
  bool operator==(const WeightRef&) const = default;
};

// Only the attributes that an op uses are read; the others keep their defaults.
struct Attributes {
  int patch = 0;
  int heads = 0;
  float epsilon = 1e-5f;
  float value = 1.0f;
  PoolKind pool = PoolKind::first;
  int eot_token = 0;
  bool operator==(const Attributes&) const = default;
};

struct Node {
  std::string name;  // unique: "vision.layers.0.q.matmul"; a composite of the YAML expands to several nodes with its
                     // name as prefix
  OpKind op = OpKind::add;
  std::vector<ValueId> inputs;
  ValueId output = kNone;
  std::vector<WeightRef> weights;
  Attributes attributes;
  int line = 0;  // in the YAML file, for messages
  bool operator==(const Node&) const = default;

  const WeightRef* weight(std::string_view role) const;  // null when absent
};

struct Graph {
  std::string name;
  int batch = 1;
  Dtype precision = Dtype::f16;  // of activations and matrices
  std::vector<Value> values;
  std::vector<Node> nodes;               // topological order
  std::vector<ValueId> inputs, outputs;  // values' names are the public names
  bool operator==(const Graph&) const = default;
};

std::string graph_text(const Graph& graph);  // canonical, for golden files and people
std::string graph_hash(
    const Graph& graph);  // of everything but batch, precision and line numbers; two batches of a model share it
std::vector<NodeId> consumers(const Graph& graph, ValueId value);
// The rows that a value is the row sums of: a row_sums node makes it, or a layer norm reads it as such. Else kNone.
ValueId rows_of_sums(const Graph& graph, ValueId value);
bool is_row_sums(const Graph& graph, ValueId value);

// The towers: groups of nodes that depend on disjoint inputs, found by dependency analysis. Nodes that need more than
// one tower are "joint". A tower is named by the first component of its nodes' names.
struct TowerMap {
  std::vector<std::string> names;  // in order of first appearance, "joint" last when present
  std::vector<int> of_node;        // index into names, by node
};
TowerMap find_towers(const Graph& graph);

}  // namespace duet
