#include "codegen/reference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "codegen/graph_yaml.h"
#include "tests/codegen/node_graph.h"
#include "tests/support/random_tensors.h"

namespace duet {
namespace {

using testing::node_graph;
using testing::random_floats;
using testing::random_inputs;
using testing::RandomWeights;
using testing::whole_weight;
using Floats = std::vector<float>;
using I = std::int64_t;

TensorType f16(Shape shape) { return {.dtype = Dtype::f16, .shape = std::move(shape)}; }
TensorType f32(Shape shape) { return {.dtype = Dtype::f32, .shape = std::move(shape)}; }
TensorType i32(Shape shape) { return {.dtype = Dtype::i32, .shape = std::move(shape)}; }

// One node evaluated on random data, with access to that data by index.
struct OpRun {
  explicit OpRun(Graph g, std::map<std::string, HostTensor> given = {}) : graph(std::move(g)), weights(graph, 3) {
    inputs = random_inputs(graph, 5);
    for (auto& [name, tensor] : given) inputs[name] = std::move(tensor);
    const auto results = evaluate(graph, inputs, weights);
    shape = results.at("out").shape;
    const auto values = results.at("out").floats();
    out.assign(values.begin(), values.end());
  }
  float in(int input, I index) const {
    return inputs.at("in" + std::to_string(input)).floats()[static_cast<std::size_t>(index)];
  }
  int id(int input, I index) const {
    return inputs.at("in" + std::to_string(input)).ints()[static_cast<std::size_t>(index)];
  }
  float weight(const std::string& role, I index) const {
    return weights.tensors().find(role)->second.floats()[static_cast<std::size_t>(index)];
  }
  float result(I index) const { return out[static_cast<std::size_t>(index)]; }

  Graph graph;
  RandomWeights weights;
  std::map<std::string, HostTensor> inputs;
  Shape shape;
  Floats out;
};

TEST(ReferenceOp, PatchExtract) {
  for (const I patch : {2, 5, 8}) {
    const I channels = 2, height = 2 * patch + 1, width = 3 * patch + 1, ld = (patch + 7) / 8 * 8;
    Attributes attributes;
    attributes.patch = static_cast<int>(patch);
    const OpRun run(node_graph(OpKind::patch_extract, {f16({2, channels, height, width})}, {}, attributes));
    ASSERT_EQ(run.shape, (Shape{2, 6, channels * patch * ld}));
    for (I b = 0; b < 2; ++b)
      for (I p = 0; p < 6; ++p)
        for (I c = 0; c < channels; ++c)
          for (I y = 0; y < patch; ++y)
            for (I x = 0; x < ld; ++x) {
              const I row = p / 3 * patch + y, column = p % 3 * patch + x;
              const float expected = x < patch ? run.in(0, ((b * channels + c) * height + row) * width + column) : 0;
              ASSERT_EQ(run.result(((b * 6 + p) * channels * patch + c * patch + y) * ld + x), expected);
            }
  }
}

TEST(ReferenceOp, Matmul) {
  for (const auto& [m, n, k] : {std::tuple<I, I, I>{1, 1, 1}, {3, 5, 7}, {1, 130, 33}, {50, 200, 72}}) {
    const OpRun run(node_graph(OpKind::matmul, {f16({2, m, k})}, {whole_weight("weight", {n, k})}));
    for (I row = 0; row < 2 * m; ++row)
      for (I column = 0; column < n; ++column) {
        double sum = 0;
        for (I i = 0; i < k; ++i) sum += run.in(0, row * k + i) * run.weight("weight", column * k + i);
        ASSERT_NEAR(run.result(row * n + column), sum, 1e-5);
      }
  }
}

TEST(ReferenceOp, MatmulOfRowsOfAPackedWeight) {
  WeightRef packed = whole_weight("weight", {12, 5});
  packed.source.row_begin = 4;
  packed.source.row_end = 8;
  const OpRun run(node_graph(OpKind::matmul, {f16({1, 3, 5})}, {packed}));
  ASSERT_EQ(run.shape, (Shape{1, 3, 4}));
  for (I row = 0; row < 3; ++row)
    for (I column = 0; column < 4; ++column) {
      double sum = 0;
      for (I i = 0; i < 5; ++i) sum += run.in(0, row * 5 + i) * run.weight("weight", (column + 4) * 5 + i);
      ASSERT_NEAR(run.result(row * 4 + column), sum, 1e-5);
    }
}

// The product of extracted patches is a convolution whose stride is the patch.
TEST(ReferenceOp, MatmulOfPatchesIsAConvolution) {
  const char* yaml =
      "duet: 1\nname: conv\ninputs: {in0: {dtype: float, shape: [B, 3, 11, 16]}}\n"
      "towers: {v: {nodes: [{name: e, op: patch_embed, input: in0, patch: 5, width: 4, weights: w}]}}\n"
      "outputs: {out: v.e}\n";
  const OpRun run(parse_graph(yaml, "conv.yaml", {.batch = 2}));
  ASSERT_EQ(run.shape, (Shape{2, 6, 4}));
  for (I b = 0; b < 2; ++b)
    for (I p = 0; p < 6; ++p)
      for (I n = 0; n < 4; ++n) {
        double sum = 0;
        for (I c = 0; c < 3; ++c)
          for (I y = 0; y < 5; ++y)
            for (I x = 0; x < 5; ++x)
              sum += run.in(0, ((b * 3 + c) * 11 + p / 3 * 5 + y) * 16 + p % 3 * 5 + x) *
                     run.weight("w.weight", ((n * 3 + c) * 5 + y) * 5 + x);
        ASSERT_NEAR(run.result((b * 6 + p) * 4 + n), sum, 1e-5);
      }
}

TEST(ReferenceOp, HalfPrecisionWeightsAreReadExactly) {
  const Graph graph = node_graph(OpKind::matmul, {f16({1, 3, 70})}, {whole_weight("weight", {150, 70})});
  const auto inputs = random_inputs(graph);
  for (const Dtype dtype : {Dtype::f16, Dtype::bf16}) {
    const RandomWeights half(graph, 3, dtype);
    struct Widened : WeightProvider {
      HostTensor weight;
      TensorView tensor(std::string_view) const override {
        return {.dtype = weight.dtype, .shape = weight.shape, .bytes = weight.bytes};
      }
    } whole;
    whole.weight = convert(half.tensors().begin()->second, Dtype::f32);
    const auto expected = evaluate(graph, inputs, whole);
    const auto actual = evaluate(graph, inputs, half);
    for (std::size_t i = 0; i < 450; ++i)
      ASSERT_NEAR(actual.at("out").floats()[i], expected.at("out").floats()[i], 1e-5);
  }
}

TEST(ReferenceOp, UnalignedWeightsAreRead) {
  const Graph graph = node_graph(OpKind::matmul, {f16({1, 2, 3})}, {whole_weight("weight", {2, 3})});
  const RandomWeights aligned(graph, 3);
  struct Shifted : WeightProvider {
    std::vector<std::byte> bytes;
    TensorView tensor(std::string_view) const override {
      return {.dtype = Dtype::f32, .shape = {2, 3}, .bytes = std::span(bytes).subspan(1)};
    }
  } shifted;
  const auto& bytes = aligned.tensors().begin()->second.bytes;
  shifted.bytes.resize(1);
  shifted.bytes.insert(shifted.bytes.end(), bytes.begin(), bytes.end());
  const auto inputs = random_inputs(graph);
  const HostTensor expected = evaluate(graph, inputs, aligned).at("out");
  const HostTensor actual = evaluate(graph, inputs, shifted).at("out");
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(actual.floats()[i], expected.floats()[i], 1e-6);
}

TEST(ReferenceOp, BiasAdd) {
  const OpRun run(node_graph(OpKind::bias_add, {f16({2, 3, 5})}, {whole_weight("bias", {5})}));
  for (I i = 0; i < 30; ++i) ASSERT_EQ(run.result(i), run.in(0, i) + run.weight("bias", i % 5));
}

TEST(ReferenceOp, Activations) {
  const auto phi = [](double x) { return 0.5 * (1 + std::erf(x / std::sqrt(2.0))); };
  const std::pair<OpKind, std::function<double(double)>> cases[] = {
      {OpKind::gelu, [&](double x) { return x * phi(x); }},
      {OpKind::gelu_tanh,
       [](double x) { return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }},
      {OpKind::quick_gelu, [](double x) { return x / (1 + std::exp(-1.702 * x)); }},
      {OpKind::silu, [](double x) { return x / (1 + std::exp(-x)); }},
  };
  for (const auto& [op, formula] : cases) {
    const OpRun run(node_graph(op, {f16({3, 40000})}), {{"in0", random_floats({3, 40000}, 9, 4.0f)}});
    for (I i = 0; i < 120000; ++i)
      ASSERT_NEAR(run.result(i), formula(run.in(0, i)), 2e-6 * (1 + std::abs(run.in(0, i)))) << op_name(op);
  }
}

TEST(ReferenceOp, Add) {
  const OpRun run(node_graph(OpKind::add, {f16({2, 7}), f16({2, 7})}));
  for (I i = 0; i < 14; ++i) ASSERT_EQ(run.result(i), run.in(0, i) + run.in(1, i));
}

TEST(ReferenceOp, AddOfAValueToItself) {
  Graph graph = node_graph(OpKind::add, {f16({2, 7}), f16({2, 7})});
  graph.nodes[0].inputs[1] = graph.nodes[0].inputs[0];
  const OpRun run(std::move(graph));
  for (I i = 0; i < 14; ++i) ASSERT_EQ(run.result(i), 2 * run.in(0, i));
}

TEST(ReferenceOp, LayerNorm) {
  Attributes attributes;
  attributes.epsilon = 0.01f;
  const I width = 37;
  const OpRun run(node_graph(OpKind::layer_norm, {f16({2, 3, width})},
                             {whole_weight("gamma", {width}), whole_weight("beta", {width})}, attributes));
  for (I row = 0; row < 6; ++row) {
    double mean = 0, variance = 0;
    for (I i = 0; i < width; ++i) mean += run.in(0, row * width + i) / 37.0;
    for (I i = 0; i < width; ++i) variance += std::pow(run.in(0, row * width + i) - mean, 2) / 37.0;
    for (I i = 0; i < width; ++i) {
      const double y = (run.in(0, row * width + i) - mean) / std::sqrt(variance + 0.01);
      ASSERT_NEAR(run.result(row * width + i), y * run.weight("gamma", i) + run.weight("beta", i), 1e-5);
    }
  }
}

TEST(ReferenceOp, RowSumsByTilesOfColumns) {
  const I width = 150, rows = 6;
  const OpRun run(node_graph(OpKind::row_sums, {f16({2, 3, width})}));
  ASSERT_EQ(run.shape, (Shape{3, rows, 2}));
  for (I tile = 0; tile < 3; ++tile) {
    for (I row = 0; row < rows; ++row) {
      double sum = 0, squares = 0;
      for (I column = tile * 64; column < std::min<I>(width, tile * 64 + 64); ++column) {
        sum += run.in(0, row * width + column);
        squares += std::pow(run.in(0, row * width + column), 2);
      }
      ASSERT_NEAR(run.result((tile * rows + row) * 2), sum, 1e-5);
      ASSERT_NEAR(run.result((tile * rows + row) * 2 + 1), squares, 1e-5 * squares);
    }
  }
}

TEST(ReferenceOp, LayerNormOfALargeOffsetKeepsItsDigits) {
  const I width = 64;
  HostTensor x = HostTensor::zeros(Dtype::f32, {1, width});
  for (I i = 0; i < width; ++i) x.floats()[static_cast<std::size_t>(i)] = i % 2 == 0 ? 4096.0f : 4097.0f;
  const OpRun run(node_graph(OpKind::layer_norm, {f16({1, width})},
                             {whole_weight("gamma", {width}), whole_weight("beta", {width})}),
                  {{"in0", x}});
  for (I i = 0; i < width; ++i)
    ASSERT_NEAR(run.result(i), (i % 2 == 0 ? -1 : 1) * run.weight("gamma", i) + run.weight("beta", i), 1e-4);
}

TEST(ReferenceOp, GatherClampsIdsOutsideTheVocabulary) {
  const std::int32_t ids[] = {0, 6, 3, -5, 7, std::numeric_limits<std::int32_t>::max()};
  const OpRun run(node_graph(OpKind::gather, {i32({2, 3})}, {whole_weight("table", {7, 4})}),
                  {{"in0", HostTensor::from_ints({2, 3}, ids)}});
  ASSERT_EQ(run.shape, (Shape{2, 3, 4}));
  const I rows[] = {0, 6, 3, 0, 6, 6};
  for (I i = 0; i < 24; ++i) ASSERT_EQ(run.result(i), run.weight("table", rows[i / 4] * 4 + i % 4));
}

TEST(ReferenceOp, Tokens) {
  const OpRun prepended(node_graph(OpKind::prepend_token, {f16({2, 3, 5})}, {whole_weight("class_token", {5})}));
  ASSERT_EQ(prepended.shape, (Shape{2, 4, 5}));
  for (I b = 0; b < 2; ++b)
    for (I i = 0; i < 20; ++i)
      ASSERT_EQ(prepended.result(b * 20 + i),
                i < 5 ? prepended.weight("class_token", i) : prepended.in(0, b * 15 + i - 5));
  Graph graph = node_graph(OpKind::broadcast_token, {}, {whole_weight("token", {1, 1, 5})});
  graph.batch = 3;
  graph.values.back().type.shape = {3, 1, 5};
  const OpRun probe(std::move(graph));
  for (I i = 0; i < 15; ++i) ASSERT_EQ(probe.result(i), probe.weight("token", i % 5));
}

TEST(ReferenceOp, AddPosition) {
  const OpRun run(node_graph(OpKind::add_position, {f16({2, 3, 5})}, {whole_weight("position", {3, 5})}));
  for (I i = 0; i < 30; ++i) ASSERT_EQ(run.result(i), run.in(0, i) + run.weight("position", i % 15));
}

TEST(ReferenceOp, AttentionScores) {
  Attributes attributes;
  attributes.heads = 3;
  const I queries = 4, keys = 6, dim = 5;
  const OpRun run(node_graph(OpKind::attention_scores, {f16({2, queries, 15}), f16({2, keys, 15})}, {}, attributes));
  ASSERT_EQ(run.shape, (Shape{2, 3, queries, keys}));
  for (I b = 0; b < 2; ++b)
    for (I h = 0; h < 3; ++h)
      for (I i = 0; i < queries; ++i)
        for (I j = 0; j < keys; ++j) {
          double sum = 0;
          for (I d = 0; d < dim; ++d)
            sum += run.in(0, (b * queries + i) * 15 + h * dim + d) * run.in(1, (b * keys + j) * 15 + h * dim + d);
          ASSERT_NEAR(run.result(((b * 3 + h) * queries + i) * keys + j), sum, 1e-5);
        }
}

TEST(ReferenceOp, AttentionValues) {
  const I queries = 4, keys = 6, dim = 5;
  const OpRun run(node_graph(OpKind::attention_values, {f16({2, 3, queries, keys}), f16({2, keys, 15})}));
  ASSERT_EQ(run.shape, (Shape{2, queries, 15}));
  for (I b = 0; b < 2; ++b)
    for (I i = 0; i < queries; ++i)
      for (I column = 0; column < 15; ++column) {
        double sum = 0;
        for (I j = 0; j < keys; ++j)
          sum += run.in(0, ((b * 3 + column / dim) * queries + i) * keys + j) * run.in(1, (b * keys + j) * 15 + column);
        ASSERT_NEAR(run.result((b * queries + i) * 15 + column), sum, 1e-5);
      }
}

TEST(ReferenceOp, ScaleAndSoftmax) {
  Attributes attributes;
  attributes.value = 0.25f;
  const OpRun scaled(node_graph(OpKind::scale, {f16({1, 2, 3, 4})}, {}, attributes));
  for (I i = 0; i < 24; ++i) ASSERT_EQ(scaled.result(i), 0.25f * scaled.in(0, i));
  const OpRun run(node_graph(OpKind::softmax, {f16({1, 2, 3, 7})}), {{"in0", random_floats({1, 2, 3, 7}, 4, 30.0f)}});
  for (I row = 0; row < 6; ++row) {
    double sum = 0;
    for (I i = 0; i < 7; ++i) sum += std::exp(static_cast<double>(run.in(0, row * 7 + i)));
    for (I i = 0; i < 7; ++i)
      ASSERT_NEAR(run.result(row * 7 + i), std::exp(static_cast<double>(run.in(0, row * 7 + i))) / sum, 1e-6);
  }
}

TEST(ReferenceOp, SoftmaxOfNothingIsZero) {
  const float infinity = std::numeric_limits<float>::infinity();
  const Floats x = {-infinity, -infinity, -infinity, 1.0f};
  const OpRun run(node_graph(OpKind::softmax, {f16({2, 2})}), {{"in0", HostTensor::from_floats({2, 2}, x)}});
  EXPECT_EQ(run.out, (Floats{0, 0, 0, 1}));
}

TEST(ReferenceOp, Masks) {
  const OpRun causal(node_graph(OpKind::causal_mask, {f16({2, 2, 3, 5})}));
  for (I i = 0; i < 60; ++i) {
    const I query = i / 5 % 3, key = i % 5;
    if (key > query)
      ASSERT_EQ(causal.result(i), -std::numeric_limits<float>::infinity());
    else
      ASSERT_EQ(causal.result(i), causal.in(0, i));
  }
  const OpRun padding(node_graph(OpKind::padding_mask, {f16({2, 2, 3, 5}), i32({2, 5})}));
  for (I i = 0; i < 60; ++i) {
    if (padding.id(1, i / 30 * 5 + i % 5) == 0)
      ASSERT_EQ(padding.result(i), -std::numeric_limits<float>::infinity());
    else
      ASSERT_EQ(padding.result(i), padding.in(0, i));
  }
}

TEST(ReferenceOp, Pool) {
  const I tokens = 4, width = 3;
  Attributes attributes;
  const auto row_of = [&](const OpRun& run, I b, I token, I i) { return run.in(0, (b * tokens + token) * width + i); };
  for (const PoolKind kind : {PoolKind::first, PoolKind::last, PoolKind::mean}) {
    attributes.pool = kind;
    const OpRun run(node_graph(OpKind::pool, {f16({2, tokens, width})}, {}, attributes));
    for (I b = 0; b < 2; ++b)
      for (I i = 0; i < width; ++i) {
        float expected = row_of(run, b, kind == PoolKind::last ? tokens - 1 : 0, i);
        if (kind == PoolKind::mean)
          expected = (expected + row_of(run, b, 1, i) + row_of(run, b, 2, i) + row_of(run, b, 3, i)) / 4;
        ASSERT_NEAR(run.result(b * width + i), expected, 1e-6);
      }
  }
  attributes.pool = PoolKind::eot;
  attributes.eot_token = 9;
  const std::int32_t ids[] = {1, 9, 9, 2, 1, 2, 3, 4, 0, 0, 0, 9};  // first of two; absent; last
  const OpRun run(node_graph(OpKind::pool, {f16({3, tokens, width}), i32({3, tokens})}, {}, attributes),
                  {{"in1", HostTensor::from_ints({3, tokens}, ids)}});
  const I expected[] = {1, 0, 3};
  for (I i = 0; i < 9; ++i) ASSERT_EQ(run.result(i), row_of(run, i / 3, expected[i / 3], i % 3));
}

TEST(ReferenceOp, L2Normalize) {
  HostTensor x = random_floats({3, 5}, 8);
  for (std::size_t i = 5; i < 10; ++i) x.floats()[i] = 0;
  const OpRun run(node_graph(OpKind::l2_normalize, {f16({3, 5})}), {{"in0", x}});
  for (I row = 0; row < 3; ++row) {
    double squares = 0;
    for (I i = 0; i < 5; ++i) squares += std::pow(run.in(0, row * 5 + i), 2);
    for (I i = 0; i < 5; ++i)
      ASSERT_NEAR(run.result(row * 5 + i), row == 1 ? 0 : run.in(0, row * 5 + i) / std::sqrt(squares), 1e-6);
  }
}

TEST(ReferenceOp, Similarity) {
  for (const bool biased : {false, true}) {
    std::vector<WeightRef> weights = {whole_weight("scale", {})};
    if (biased) weights.push_back(whole_weight("bias", {1}));
    const OpRun run(node_graph(OpKind::similarity, {f32({2, 7}), f32({3, 7})}, weights));
    ASSERT_EQ(run.shape, (Shape{2, 3}));
    for (I i = 0; i < 2; ++i)
      for (I j = 0; j < 3; ++j) {
        double dot = 0;
        for (I k = 0; k < 7; ++k) dot += run.in(0, i * 7 + k) * run.in(1, j * 7 + k);
        const double expected = std::exp(run.weight("scale", 0)) * dot + (biased ? run.weight("bias", 0) : 0);
        ASSERT_NEAR(run.result(i * 3 + j), expected, 1e-4);
      }
  }
}

// ---- what is refused

std::string refusal(const Graph& graph, const std::map<std::string, HostTensor>& inputs,
                    const WeightProvider& weights) {
  try {
    evaluate(graph, inputs, weights);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::input);
    return error.what();
  }
  return "accepted";
}

TEST(Reference, RefusesWhatDoesNotFit) {
  const Graph graph = node_graph(OpKind::matmul, {f16({1, 2, 3})}, {whole_weight("weight", {4, 3})});
  const RandomWeights weights(graph);
  const auto inputs = random_inputs(graph);
  EXPECT_EQ(refusal(graph, {}, weights), "input 'in0' is missing");
  EXPECT_EQ(refusal(graph, {{"in0", HostTensor::zeros(Dtype::f32, {1, 3, 3})}}, weights),
            "input 'in0' has shape (1, 3, 3), the graph needs (1, 2, 3)");
  EXPECT_EQ(refusal(graph, {{"in0", HostTensor::zeros(Dtype::i32, {1, 2, 3})}}, weights),
            "input 'in0' is i32, the graph needs f32, f16 or bf16");
  EXPECT_EQ(refusal(graph, {{"in0", HostTensor{.dtype = Dtype::f32, .shape = {1, 2, 3}, .bytes = {}}}}, weights),
            "input 'in0' holds 0 bytes, its shape needs 24");
  const Graph other = node_graph(OpKind::matmul, {f16({1, 2, 3})}, {whole_weight("weight", {5, 3})});
  EXPECT_EQ(refusal(graph, inputs, RandomWeights(other)), "weight 'weight' has shape (5, 3), node 'node' needs (4, 3)");
  EXPECT_EQ(refusal(graph, inputs, RandomWeights(Graph{})), "no weight 'weight'");
}

TEST(Reference, TakesInputsOfEveryFloatType) {
  const Graph graph = node_graph(OpKind::add, {f16({1, 4}), f16({1, 4})});
  const Floats x = {1.5f, -2.0f, 0.25f, 8.0f};
  const HostTensor whole = HostTensor::from_floats({1, 4}, x);
  const auto results = evaluate(graph, {{"in0", convert(whole, Dtype::f16)}, {"in1", convert(whole, Dtype::bf16)}},
                                RandomWeights(graph));
  EXPECT_EQ(results.at("out"), HostTensor::from_floats({1, 4}, Floats{3.0f, -4.0f, 0.5f, 16.0f}));
}

}  // namespace
}  // namespace duet
