#include "codegen/ops.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <span>

#include "base/error.h"

namespace duet {
namespace {

// Kernels count rows, columns and elements of one tensor in 32 bits.
constexpr std::int64_t kMaxElements = std::numeric_limits<std::int32_t>::max();

// What every node of a kind has: its number of inputs, the weights it must have and those it may have.
struct OpRow {
  OpKind op;
  int min_inputs, max_inputs;
  std::array<std::string_view, 2> required;
  std::string_view optional;
};

constexpr OpRow kOpTable[] = {
    {OpKind::patch_extract, 1, 1, {}, {}},
    {OpKind::matmul, 1, 1, {"weight"}, {}},
    {OpKind::bias_add, 1, 1, {"bias"}, {}},
    {OpKind::gelu, 1, 1, {}, {}},
    {OpKind::gelu_tanh, 1, 1, {}, {}},
    {OpKind::quick_gelu, 1, 1, {}, {}},
    {OpKind::silu, 1, 1, {}, {}},
    {OpKind::add, 2, 2, {}, {}},
    {OpKind::layer_norm, 1, 2, {"gamma", "beta"}, {}},
    {OpKind::row_sums, 1, 1, {}, {}},
    {OpKind::gather, 1, 1, {"table"}, {}},
    {OpKind::prepend_token, 1, 1, {"class_token"}, {}},
    {OpKind::broadcast_token, 0, 0, {"token"}, {}},
    {OpKind::add_position, 1, 1, {"position"}, {}},
    {OpKind::attention_scores, 2, 2, {}, {}},
    {OpKind::scale, 1, 1, {}, {}},
    {OpKind::causal_mask, 1, 1, {}, {}},
    {OpKind::padding_mask, 2, 2, {}, {}},
    {OpKind::softmax, 1, 1, {}, {}},
    {OpKind::attention_values, 2, 2, {}, {}},
    {OpKind::pool, 1, 2, {}, {}},
    {OpKind::l2_normalize, 1, 1, {}, {}},
    {OpKind::similarity, 2, 2, {"scale"}, "bias"},
};

const OpRow& op_row(OpKind op) {
  for (const OpRow& row : kOpTable)
    if (row.op == op) return row;
  fail(ErrorKind::internal, "operation {} is not in the op table", static_cast<int>(op));
}

const TensorType& type_of(const Graph& graph, ValueId value) {
  return graph.values[static_cast<std::size_t>(value)].type;
}
const TensorType& input_type(const Graph& graph, const Node& node, std::size_t index) {
  return type_of(graph, node.inputs[index]);
}
std::string type_text(const TensorType& type) {
  return fmt::format("{} {}", dtype_name(type.dtype), shape_text(type.shape));
}

// A weight seen as a matrix: its rows, and the product of its other dimensions.
struct MatrixShape {
  std::int64_t rows = 0, columns = 0;
};
MatrixShape matrix_shape(const WeightSource& source) {
  const Shape& shape = source.shape;
  const Shape rest(shape.empty() ? shape.end() : shape.begin() + 1, shape.end());
  return {source.row_end - source.row_begin, element_count(rest)};
}
MatrixShape weight_shape(const Node& node, std::string_view role) { return matrix_shape(node.weight(role)->source); }
std::int64_t weight_elements(const Node& node, std::string_view role) {
  const MatrixShape shape = weight_shape(node, role);
  return shape.rows * shape.columns;
}
std::string weight_text(const Node& node, std::string_view role) {
  const WeightSource& source = node.weight(role)->source;
  return fmt::format("{} '{}' {}", role, source.tensor, shape_text(source.shape));
}

// ---- checks common to all ops

void check_weight(const WeightRef& weight) {
  const WeightSource& source = weight.source;
  for (const std::int64_t extent : source.shape)
    if (extent < 1)
      fail(ErrorKind::input, "{} '{}' has shape {}: every dimension must be at least 1", weight.role, source.tensor,
           shape_text(source.shape));
  if (element_count(source.shape) > kMaxElements)
    fail(ErrorKind::input, "{} '{}' has shape {}: more than {} elements", weight.role, source.tensor,
         shape_text(source.shape), kMaxElements);
  const std::int64_t rows = source.shape.empty() ? 1 : source.shape.front();
  if (source.row_begin < 0 || source.row_begin >= source.row_end || source.row_end > rows)
    fail(ErrorKind::input, "{} '{}': rows {}:{} do not lie within its {} rows", weight.role, source.tensor,
         source.row_begin, source.row_end, rows);
}

void check_weights(const Node& node, const OpRow& row) {
  for (const std::string_view role : row.required)
    if (!role.empty() && node.weight(role) == nullptr)
      fail(ErrorKind::input, "{} needs the weight '{}'", op_name(node.op), role);
  for (const WeightRef& weight : node.weights) {
    const bool known = weight.role == row.optional || std::count(row.required.begin(), row.required.end(), weight.role);
    if (weight.role.empty() || !known) fail(ErrorKind::input, "{} has no weight '{}'", op_name(node.op), weight.role);
    check_weight(weight);
  }
}

void check_inputs(const Graph& graph, const Node& node, const OpRow& row) {
  const auto count = static_cast<int>(node.inputs.size());
  if (count < row.min_inputs || count > row.max_inputs)
    fail(ErrorKind::input, "{} takes {} inputs, not {}", op_name(node.op),
         row.min_inputs == row.max_inputs ? fmt::format("{}", row.min_inputs)
                                          : fmt::format("{} or {}", row.min_inputs, row.max_inputs),
         count);
  for (const ValueId input : node.inputs)
    if (input < 0 || static_cast<std::size_t>(input) >= graph.values.size())
      fail(ErrorKind::input, "{} reads value {}, which the graph does not have", op_name(node.op), input);
}

// An activation in the graph's precision with `rank` dimensions (0 for any rank of at least 2).
const Shape& activation(const Graph& graph, const Node& node, std::size_t index, std::size_t rank) {
  const TensorType& type = input_type(graph, node, index);
  if (type.dtype != graph.precision)
    fail(ErrorKind::input, "{} needs {} values, its input is {}", op_name(node.op), dtype_name(graph.precision),
         type_text(type));
  if (rank != 0 ? type.shape.size() != rank : type.shape.size() < 2)
    fail(ErrorKind::input, "{} needs an input of {} dimensions, got {}", op_name(node.op),
         rank != 0 ? fmt::format("{}", rank) : "2 or more", type_text(type));
  return type.shape;
}

const Shape& indices(const Graph& graph, const Node& node, std::size_t index, std::string_view what) {
  const TensorType& type = input_type(graph, node, index);
  if (type.dtype != Dtype::i32 || type.shape.size() != 2)
    fail(ErrorKind::input, "{} needs {} of type i32 and 2 dimensions, got {}", op_name(node.op), what, type_text(type));
  return type.shape;
}

void check_heads(std::int64_t heads, std::int64_t width) {
  if (heads < 1 || width % heads != 0) fail(ErrorKind::input, "width {} is not a multiple of {} heads", width, heads);
}

// ---- one shape rule per op

Shape patch_extract_shape(const Graph& graph, const Node& node) {
  const Shape& image = activation(graph, node, 0, 4);
  const std::int64_t patch = node.attributes.patch;
  if (patch < 1 || patch > image[2] || patch > image[3])
    fail(ErrorKind::input, "patch {} does not fit an image of {} x {}", patch, image[2], image[3]);
  return {image[0], (image[2] / patch) * (image[3] / patch), image[1] * patch * round_up(node.attributes.patch, 8)};
}

// The patch extraction that feeds a product, or null.
const Node* patch_producer(const Graph& graph, const Node& node) {
  const NodeId producer = graph.values[static_cast<std::size_t>(node.inputs[0])].producer;
  if (producer == kNone) return nullptr;
  const Node& found = graph.nodes[static_cast<std::size_t>(producer)];
  return found.op == OpKind::patch_extract ? &found : nullptr;
}

// A product whose weight is (N, C, patch, patch) reads patches, with or without the node that made them (a group taken
// out of its graph has patches as its input).
bool reads_patches(const Graph& graph, const Node& node) {
  return patch_producer(graph, node) != nullptr || node.weight("weight")->source.shape.size() == 4;
}

Shape matmul_shape(const Graph& graph, const Node& node) {
  Shape shape = activation(graph, node, 0, 0);
  const Shape& weight = node.weight("weight")->source.shape;
  if (reads_patches(graph, node)) {
    const Node* patches = patch_producer(graph, node);
    if (weight.size() != 4 || weight[2] != weight[3] || (patches != nullptr && weight[2] != patches->attributes.patch))
      fail(ErrorKind::input, "{} must have shape (width, channels, patch, patch) to multiply patches",
           weight_text(node, "weight"));
    if (weight[2] > 4096 || weight[1] * weight[2] * round_up(static_cast<int>(weight[2]), 8) != shape.back())
      fail(ErrorKind::input, "{} does not fit patches of shape {}", weight_text(node, "weight"), shape_text(shape));
  } else if (weight.size() != 2 || weight[1] != shape.back()) {
    fail(ErrorKind::input, "{} does not fit an input of width {}: it must be (N, {})", weight_text(node, "weight"),
         shape.back(), shape.back());
  }
  shape.back() = weight_shape(node, "weight").rows;
  return shape;
}

Shape row_weight_shape(const Graph& graph, const Node& node, std::initializer_list<std::string_view> roles) {
  const Shape& shape = activation(graph, node, 0, 0);
  for (const std::string_view role : roles)
    if (weight_elements(node, role) != shape.back())
      fail(ErrorKind::input, "{} does not fit an input of width {}", weight_text(node, role), shape.back());
  return shape;
}

Shape layer_norm_shape(const Graph& graph, const Node& node) {
  if (!(node.attributes.epsilon > 0.0f && node.attributes.epsilon < 1.0f))
    fail(ErrorKind::input, "epsilon {} must lie between 0 and 1", node.attributes.epsilon);
  const Shape shape = row_weight_shape(graph, node, {"gamma", "beta"});
  if (node.inputs.size() == 2) {
    const TensorType& sums = input_type(graph, node, 1);
    const std::int64_t rows = element_count(shape) / shape.back();
    if (sums.dtype != Dtype::f32 || sums.shape.size() != 3 || sums.shape[1] != rows || sums.shape[2] != 2)
      fail(ErrorKind::input, "layer_norm of {} rows cannot read row sums {}", rows, type_text(sums));
  }
  return shape;
}

Shape row_sums_shape(const Graph& graph, const Node& node) {
  const Shape& shape = activation(graph, node, 0, 0);
  const std::int64_t columns = shape.back();
  return {(columns + kRowSumColumns - 1) / kRowSumColumns, element_count(shape) / columns, 2};
}

Shape add_shape(const Graph& graph, const Node& node) {
  const Shape& left = activation(graph, node, 0, 0);
  const Shape& right = activation(graph, node, 1, 0);
  if (left != right)
    fail(ErrorKind::input, "add of {} and {}: the shapes must be equal", shape_text(left), shape_text(right));
  return left;
}

Shape gather_shape(const Graph& graph, const Node& node) {
  Shape shape = indices(graph, node, 0, "ids");
  shape.push_back(weight_shape(node, "table").columns);
  return shape;
}

Shape prepend_token_shape(const Graph& graph, const Node& node) {
  Shape shape = activation(graph, node, 0, 3);
  if (weight_elements(node, "class_token") != shape[2])
    fail(ErrorKind::input, "{} does not fit rows of width {}", weight_text(node, "class_token"), shape[2]);
  shape[1] += 1;
  return shape;
}

Shape add_position_shape(const Graph& graph, const Node& node) {
  const Shape& shape = activation(graph, node, 0, 3);
  const MatrixShape position = weight_shape(node, "position");
  if (position.rows != shape[1] || position.columns != shape[2])
    fail(ErrorKind::input, "{} gives {} positions of width {}, the input has {} of width {}",
         weight_text(node, "position"), position.rows, position.columns, shape[1], shape[2]);
  return shape;
}

Shape attention_scores_shape(const Graph& graph, const Node& node) {
  const Shape& q = activation(graph, node, 0, 3);
  const Shape& k = activation(graph, node, 1, 3);
  if (q[0] != k[0] || q[2] != k[2])
    fail(ErrorKind::input, "queries {} and keys {} must have the same batch and width", shape_text(q), shape_text(k));
  check_heads(node.attributes.heads, q[2]);
  return {q[0], node.attributes.heads, q[1], k[1]};
}

Shape scale_shape(const Graph& graph, const Node& node) {
  if (!std::isfinite(node.attributes.value))
    fail(ErrorKind::input, "scale by {}: the value must be finite", node.attributes.value);
  return activation(graph, node, 0, 0);
}

Shape padding_mask_shape(const Graph& graph, const Node& node) {
  const Shape& scores = activation(graph, node, 0, 4);
  const Shape& mask = indices(graph, node, 1, "a mask");
  if (mask[0] != scores[0] || mask[1] != scores[3])
    fail(ErrorKind::input, "mask {} does not fit scores {}: it must be ({}, {})", shape_text(mask), shape_text(scores),
         scores[0], scores[3]);
  return scores;
}

Shape attention_values_shape(const Graph& graph, const Node& node) {
  const Shape& p = activation(graph, node, 0, 4);
  const Shape& v = activation(graph, node, 1, 3);
  if (p[0] != v[0] || p[3] != v[1])
    fail(ErrorKind::input, "probabilities {} and values {} must have the same batch and keys", shape_text(p),
         shape_text(v));
  check_heads(p[1], v[2]);
  return {v[0], p[2], v[2]};
}

Shape pool_shape(const Graph& graph, const Node& node) {
  const Shape& x = activation(graph, node, 0, 3);
  const bool eot = node.attributes.pool == PoolKind::eot;
  if (eot != (node.inputs.size() == 2))
    fail(ErrorKind::input, "{}",
         eot ? "pooling at the end-of-text token needs the token ids" : "only eot pooling reads token ids");
  if (eot) {
    const Shape& ids = indices(graph, node, 1, "ids");
    if (ids[0] != x[0] || ids[1] != x[1])
      fail(ErrorKind::input, "ids {} do not fit a sequence {}", shape_text(ids), shape_text(x));
  }
  return {x[0], x[2]};
}

Shape similarity_shape(const Graph& graph, const Node& node) {
  for (const std::size_t index : {std::size_t{0}, std::size_t{1}}) {
    const TensorType& type = input_type(graph, node, index);
    if (type.dtype != Dtype::f32 || type.shape.size() != 2)
      fail(ErrorKind::input, "similarity needs normalised f32 embeddings of 2 dimensions, got {}", type_text(type));
  }
  const Shape& image = input_type(graph, node, 0).shape;
  const Shape& text = input_type(graph, node, 1).shape;
  if (image[1] != text[1])
    fail(ErrorKind::input, "image embeddings {} and text embeddings {} have different widths", shape_text(image),
         shape_text(text));
  for (const WeightRef& weight : node.weights)
    if (weight_elements(node, weight.role) != 1)
      fail(ErrorKind::input, "{} must have one element", weight_text(node, weight.role));
  return {image[0], text[0]};
}

Shape infer_shape(const Graph& graph, const Node& node) {
  switch (node.op) {
    case OpKind::patch_extract:
      return patch_extract_shape(graph, node);
    case OpKind::matmul:
      return matmul_shape(graph, node);
    case OpKind::bias_add:
      return row_weight_shape(graph, node, {"bias"});
    case OpKind::gelu:
    case OpKind::gelu_tanh:
    case OpKind::quick_gelu:
    case OpKind::silu:
    case OpKind::softmax:
    case OpKind::l2_normalize:
      return activation(graph, node, 0, 0);
    case OpKind::add:
      return add_shape(graph, node);
    case OpKind::layer_norm:
      return layer_norm_shape(graph, node);
    case OpKind::row_sums:
      return row_sums_shape(graph, node);
    case OpKind::gather:
      return gather_shape(graph, node);
    case OpKind::prepend_token:
      return prepend_token_shape(graph, node);
    case OpKind::broadcast_token:
      return {graph.batch, 1, weight_elements(node, "token")};
    case OpKind::add_position:
      return add_position_shape(graph, node);
    case OpKind::attention_scores:
      return attention_scores_shape(graph, node);
    case OpKind::scale:
      return scale_shape(graph, node);
    case OpKind::causal_mask:
      return activation(graph, node, 0, 4);
    case OpKind::padding_mask:
      return padding_mask_shape(graph, node);
    case OpKind::attention_values:
      return attention_values_shape(graph, node);
    case OpKind::pool:
      return pool_shape(graph, node);
    case OpKind::similarity:
      return similarity_shape(graph, node);
  }
  fail(ErrorKind::internal, "operation {} has no shape rule", static_cast<int>(node.op));
}

// Operations per element of the result (of the input for reductions to the same shape).
double flops_per_element(OpKind op) {
  switch (op) {
    case OpKind::bias_add:
    case OpKind::add:
    case OpKind::add_position:
    case OpKind::scale:
      return 1;
    case OpKind::gelu:
      return 5;  // x / sqrt(2), erf, + 1, two products
    case OpKind::gelu_tanh:
      return 9;  // the cubic polynomial, tanh, + 1, two products
    case OpKind::quick_gelu:
      return 5;  // product, exp, + 1, division, product
    case OpKind::silu:
      return 4;
    case OpKind::layer_norm:
      return 7;  // two sums, subtraction, square, three for scale and shift
    case OpKind::softmax:
      return 5;  // maximum, subtraction, exp, sum, division
    case OpKind::l2_normalize:
      return 3;  // square, sum, division
    default:
      return 0;  // moves data
  }
}

double count(const Shape& shape) { return static_cast<double>(element_count(shape)); }

double node_weight_elements_read(const Graph& graph, const Node& node, const WeightRef& weight) {
  const MatrixShape shape = matrix_shape(weight.source);
  const double rows = static_cast<double>(shape.rows);
  if (node.op != OpKind::gather) return rows * static_cast<double>(shape.columns);
  return std::min(rows, count(input_type(graph, node, 0).shape)) * static_cast<double>(shape.columns);
}

bool kept_in_fp32(std::string_view role) {
  return role == "bias" || role == "gamma" || role == "beta" || role == "scale";
}

}  // namespace

TensorType infer_type(const Graph& graph, const Node& node) {
  const OpRow& row = op_row(node.op);
  check_inputs(graph, node, row);
  check_weights(node, row);
  const bool f32_result =
      node.op == OpKind::l2_normalize || node.op == OpKind::similarity || node.op == OpKind::row_sums;
  TensorType type{.dtype = f32_result ? Dtype::f32 : graph.precision, .shape = infer_shape(graph, node)};
  if (element_count(type.shape) > kMaxElements)
    fail(ErrorKind::input, "the result {} has more than {} elements", shape_text(type.shape), kMaxElements);
  return type;
}

double node_flops(const Graph& graph, const Node& node) {
  const Shape& result = type_of(graph, node.output).shape;
  switch (node.op) {
    case OpKind::matmul:
      return 2 * count(result) * static_cast<double>(weight_shape(node, "weight").columns);
    case OpKind::attention_scores: {
      const Shape& q = input_type(graph, node, 0).shape;
      return 2 * count(q) * static_cast<double>(result[3]);
    }
    case OpKind::attention_values: {
      const Shape& p = input_type(graph, node, 0).shape;
      return 2 * count(result) * static_cast<double>(p[3]);
    }
    case OpKind::row_sums:
      return 3 * count(input_type(graph, node, 0).shape);  // sum, square, sum
    case OpKind::pool:
      return node.attributes.pool == PoolKind::mean ? count(input_type(graph, node, 0).shape) : 0;
    case OpKind::similarity:
      return 2 * count(result) * static_cast<double>(input_type(graph, node, 0).shape[1]);
    default:
      return flops_per_element(node.op) * count(result);
  }
}

double node_weight_bytes(const Graph& graph, const Node& node) {
  double bytes = 0;
  for (const WeightRef& weight : node.weights) {
    const Dtype dtype = kept_in_fp32(weight.role) ? Dtype::f32 : graph.precision;
    bytes += node_weight_elements_read(graph, node, weight) * dtype_bytes(dtype);
  }
  return bytes;
}

double value_bytes(const Graph& graph, ValueId value) {
  const TensorType& type = type_of(graph, value);
  return count(type.shape) * dtype_bytes(type.dtype);
}

}  // namespace duet
