#include "codegen/ops.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "tests/codegen/node_graph.h"

namespace duet {
namespace {

using testing::node_graph;
using testing::whole_weight;

TensorType f16(Shape shape) { return {.dtype = Dtype::f16, .shape = std::move(shape)}; }
TensorType f32(Shape shape) { return {.dtype = Dtype::f32, .shape = std::move(shape)}; }
TensorType i32(Shape shape) { return {.dtype = Dtype::i32, .shape = std::move(shape)}; }

Attributes heads(int count) {
  Attributes attributes;
  attributes.heads = count;
  return attributes;
}
Attributes patch(int size) {
  Attributes attributes;
  attributes.patch = size;
  return attributes;
}
Attributes pool(PoolKind kind) {
  Attributes attributes;
  attributes.pool = kind;
  return attributes;
}

struct Case {
  OpKind op;
  std::vector<TensorType> inputs;
  std::vector<WeightRef> weights;
  Attributes attributes;
  std::string expected;  // the type, or the message of the refusal
};

std::string outcome(const Case& c) {
  try {
    const Graph graph = node_graph(c.op, c.inputs, c.weights, c.attributes);
    const TensorType& type = graph.values.back().type;
    return fmt::format("{} {}", dtype_name(type.dtype), shape_text(type.shape));
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::input);
    return error.what();
  }
}

TEST(Ops, TypesAreInferred) {
  const WeightRef bias = whole_weight("bias", {5}), gamma = whole_weight("gamma", {5}),
                  beta = whole_weight("beta", {5});
  const Case cases[] = {
      {OpKind::patch_extract, {f16({2, 3, 42, 56})}, {}, patch(14), "f16 (2, 12, 672)"},
      {OpKind::patch_extract, {f16({1, 3, 384, 384})}, {}, patch(14), "f16 (1, 729, 672)"},
      {OpKind::matmul, {f16({2, 12, 672})}, {whole_weight("weight", {72, 3, 14, 14})}, {}, "f16 (2, 12, 72)"},
      {OpKind::matmul, {f16({2, 5})}, {whole_weight("weight", {7, 5})}, {}, "f16 (2, 7)"},
      {OpKind::bias_add, {f16({2, 5})}, {bias}, {}, "f16 (2, 5)"},
      {OpKind::gelu, {f16({2, 5})}, {}, {}, "f16 (2, 5)"},
      {OpKind::add, {f16({2, 5}), f16({2, 5})}, {}, {}, "f16 (2, 5)"},
      {OpKind::layer_norm, {f16({2, 5})}, {gamma, beta}, {}, "f16 (2, 5)"},
      {OpKind::layer_norm, {f16({2, 3, 5}), f32({1, 6, 2})}, {gamma, beta}, {}, "f16 (2, 3, 5)"},
      {OpKind::row_sums, {f16({2, 3, 5})}, {}, {}, "f32 (1, 6, 2)"},
      {OpKind::row_sums, {f16({2, 130})}, {}, {}, "f32 (3, 2, 2)"},
      {OpKind::gather, {i32({2, 4})}, {whole_weight("table", {9, 5})}, {}, "f16 (2, 4, 5)"},
      {OpKind::prepend_token, {f16({2, 4, 5})}, {whole_weight("class_token", {5})}, {}, "f16 (2, 5, 5)"},
      {OpKind::broadcast_token, {}, {whole_weight("token", {1, 1, 5})}, {}, "f16 (1, 1, 5)"},
      {OpKind::add_position, {f16({2, 4, 5})}, {whole_weight("position", {4, 5})}, {}, "f16 (2, 4, 5)"},
      {OpKind::attention_scores, {f16({2, 1, 6}), f16({2, 4, 6})}, {}, heads(3), "f16 (2, 3, 1, 4)"},
      {OpKind::scale, {f16({2, 3, 1, 4})}, {}, {}, "f16 (2, 3, 1, 4)"},
      {OpKind::causal_mask, {f16({2, 3, 4, 4})}, {}, {}, "f16 (2, 3, 4, 4)"},
      {OpKind::padding_mask, {f16({2, 3, 4, 5}), i32({2, 5})}, {}, {}, "f16 (2, 3, 4, 5)"},
      {OpKind::softmax, {f16({2, 3, 4, 5})}, {}, {}, "f16 (2, 3, 4, 5)"},
      {OpKind::attention_values, {f16({2, 3, 1, 4}), f16({2, 4, 6})}, {}, {}, "f16 (2, 1, 6)"},
      {OpKind::pool, {f16({2, 4, 5})}, {}, pool(PoolKind::mean), "f16 (2, 5)"},
      {OpKind::pool, {f16({2, 4, 5}), i32({2, 4})}, {}, pool(PoolKind::eot), "f16 (2, 5)"},
      {OpKind::l2_normalize, {f16({2, 5})}, {}, {}, "f32 (2, 5)"},
      {OpKind::similarity, {f32({2, 5}), f32({3, 5})}, {whole_weight("scale", {})}, {}, "f32 (2, 3)"},
  };
  for (const Case& c : cases) EXPECT_EQ(outcome(c), c.expected) << op_name(c.op);
}

TEST(Ops, WhatDoesNotFitIsRefused) {
  const WeightRef weight = whole_weight("weight", {7, 5});
  WeightRef no_rows = weight, stray = whole_weight("stray", {5});
  no_rows.source.row_begin = 7;
  Attributes epsilon;
  epsilon.epsilon = 0;
  Attributes infinite;
  infinite.value = HUGE_VALF;
  const Case cases[] = {
      {OpKind::matmul,
       {f16({2, 4})},
       {weight},
       {},
       "weight 'weight' (7, 5) does not fit an input of width 4: it must be (N, 4)"},
      {OpKind::matmul, {f16({2, 5})}, {}, {}, "matmul needs the weight 'weight'"},
      {OpKind::matmul, {f16({2, 5})}, {weight, stray}, {}, "matmul has no weight 'stray'"},
      {OpKind::matmul, {f16({2, 5})}, {no_rows}, {}, "weight 'weight': rows 7:7 do not lie within its 7 rows"},
      {OpKind::matmul,
       {f16({2, 5})},
       {whole_weight("weight", {0, 5})},
       {},
       "weight 'weight' has shape (0, 5): every dimension must be at least 1"},
      {OpKind::matmul,
       {f16({2, 5})},
       {whole_weight("weight", {1 << 24, 1 << 24})},
       {},
       "weight 'weight' has shape (16777216, 16777216): more than 2147483647 elements"},
      {OpKind::matmul, {f32({2, 5})}, {weight}, {}, "matmul needs f16 values, its input is f32 (2, 5)"},
      {OpKind::matmul, {f16({5})}, {weight}, {}, "matmul needs an input of 2 or more dimensions, got f16 (5)"},
      {OpKind::matmul, {f16({2, 5}), f16({2, 5})}, {weight}, {}, "matmul takes 1 inputs, not 2"},
      {OpKind::matmul,
       {f16({2, 12, 588})},
       {whole_weight("weight", {72, 3, 14, 14})},
       {},
       "weight 'weight' (72, 3, 14, 14) does not fit patches of shape (2, 12, 588)"},
      {OpKind::matmul,
       {f16({2, 12, 672})},
       {whole_weight("weight", {72, 3, 14, 13})},
       {},
       "weight 'weight' (72, 3, 14, 13) must have shape (width, channels, patch, patch) to multiply patches"},
      {OpKind::patch_extract, {f16({2, 3, 8, 8})}, {}, patch(9), "patch 9 does not fit an image of 8 x 8"},
      {OpKind::patch_extract, {f16({2, 3, 8, 8})}, {}, patch(0), "patch 0 does not fit an image of 8 x 8"},
      {OpKind::bias_add,
       {f16({2, 4})},
       {whole_weight("bias", {5})},
       {},
       "bias 'bias' (5) does not fit an input of width 4"},
      {OpKind::add, {f16({2, 4}), f16({2, 5})}, {}, {}, "add of (2, 4) and (2, 5): the shapes must be equal"},
      {OpKind::layer_norm,
       {f16({2, 5})},
       {whole_weight("gamma", {5}), whole_weight("beta", {5})},
       epsilon,
       "epsilon 0 must lie between 0 and 1"},
      {OpKind::layer_norm, {f16({2, 5})}, {whole_weight("gamma", {5})}, {}, "layer_norm needs the weight 'beta'"},
      {OpKind::layer_norm,
       {f16({2, 5}), f32({1, 3, 2})},
       {whole_weight("gamma", {5}), whole_weight("beta", {5})},
       {},
       "layer_norm of 2 rows cannot read row sums f32 (1, 3, 2)"},
      {OpKind::gather,
       {f16({2, 4})},
       {whole_weight("table", {9, 5})},
       {},
       "gather needs ids of type i32 and 2 dimensions, got f16 (2, 4)"},
      {OpKind::prepend_token,
       {f16({2, 4, 5})},
       {whole_weight("class_token", {6})},
       {},
       "class_token 'class_token' (6) does not fit rows of width 5"},
      {OpKind::add_position,
       {f16({2, 4, 5})},
       {whole_weight("position", {3, 5})},
       {},
       "position 'position' (3, 5) gives 3 positions of width 5, the input has 4 of width 5"},
      {OpKind::attention_scores,
       {f16({2, 4, 6}), f16({2, 4, 6})},
       {},
       heads(4),
       "width 6 is not a multiple of 4 heads"},
      {OpKind::attention_scores,
       {f16({2, 4, 6}), f16({1, 4, 6})},
       {},
       heads(3),
       "queries (2, 4, 6) and keys (1, 4, 6) must have the same batch and width"},
      {OpKind::scale, {f16({2, 3, 4, 4})}, {}, infinite, "scale by inf: the value must be finite"},
      {OpKind::causal_mask, {f16({2, 4, 4})}, {}, {}, "causal_mask needs an input of 4 dimensions, got f16 (2, 4, 4)"},
      {OpKind::padding_mask,
       {f16({2, 3, 4, 5}), i32({2, 4})},
       {},
       {},
       "mask (2, 4) does not fit scores (2, 3, 4, 5): it must be (2, 5)"},
      {OpKind::attention_values,
       {f16({2, 3, 4, 5}), f16({2, 4, 6})},
       {},
       {},
       "probabilities (2, 3, 4, 5) and values (2, 4, 6) must have the same batch and keys"},
      {OpKind::pool, {f16({2, 4, 5})}, {}, pool(PoolKind::eot), "pooling at the end-of-text token needs the token ids"},
      {OpKind::pool, {f16({2, 4, 5}), i32({2, 4})}, {}, pool(PoolKind::mean), "only eot pooling reads token ids"},
      {OpKind::pool,
       {f16({2, 4, 5}), i32({2, 3})},
       {},
       pool(PoolKind::eot),
       "ids (2, 3) do not fit a sequence (2, 4, 5)"},
      {OpKind::similarity,
       {f16({2, 5}), f32({3, 5})},
       {whole_weight("scale", {})},
       {},
       "similarity needs normalised f32 embeddings of 2 dimensions, got f16 (2, 5)"},
      {OpKind::similarity,
       {f32({2, 5}), f32({3, 6})},
       {whole_weight("scale", {})},
       {},
       "image embeddings (2, 5) and text embeddings (3, 6) have different widths"},
      {OpKind::similarity,
       {f32({2, 5}), f32({3, 5})},
       {whole_weight("scale", {2})},
       {},
       "scale 'scale' (2) must have one element"},
      {OpKind::attention_scores,
       {f16({1, 60000, 8}), f16({1, 60000, 8})},
       {},
       heads(1),
       "the result (1, 1, 60000, 60000) has more than 2147483647 elements"},
  };
  for (const Case& c : cases) EXPECT_EQ(outcome(c), c.expected) << op_name(c.op);
}

TEST(Ops, FlopsAndBytesAreCounted) {
  const auto flops = [](const Graph& graph) { return node_flops(graph, graph.nodes[0]); };
  const Graph product = node_graph(OpKind::matmul, {f16({2, 3, 5})}, {whole_weight("weight", {7, 5})});
  EXPECT_EQ(flops(product), 2.0 * 6 * 7 * 5);
  EXPECT_EQ(node_weight_bytes(product, product.nodes[0]), 7.0 * 5 * 2);
  EXPECT_EQ(value_bytes(product, product.outputs[0]), 6.0 * 7 * 2);
  // The padding of patches is not counted: 3 x 14 x 14 products each.
  EXPECT_EQ(flops(node_graph(OpKind::matmul, {f16({1, 12, 672})}, {whole_weight("weight", {72, 3, 14, 14})})),
            2.0 * 12 * 72 * 588);
  EXPECT_EQ(flops(node_graph(OpKind::attention_scores, {f16({2, 3, 8}), f16({2, 5, 8})}, {}, heads(2))),
            2.0 * 2 * 3 * 5 * 8);
  EXPECT_EQ(flops(node_graph(OpKind::attention_values, {f16({2, 2, 3, 5}), f16({2, 5, 8})})), 2.0 * 2 * 3 * 5 * 8);
  const Graph bias = node_graph(OpKind::bias_add, {f16({2, 5})}, {whole_weight("bias", {5})});
  EXPECT_EQ(flops(bias), 10);
  EXPECT_EQ(node_weight_bytes(bias, bias.nodes[0]), 20);  // fp32
  const Graph gather = node_graph(OpKind::gather, {i32({2, 3})}, {whole_weight("table", {1000, 8})});
  EXPECT_EQ(flops(gather), 0);
  EXPECT_EQ(node_weight_bytes(gather, gather.nodes[0]), 6.0 * 8 * 2);
}

}  // namespace
}  // namespace duet
