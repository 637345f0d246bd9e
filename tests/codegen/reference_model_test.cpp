#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "codegen/graph_yaml.h"
#include "codegen/reference.h"
#include "tests/support/random_graph.h"
#include "tests/support/random_tensors.h"

namespace duet {
namespace {

using testing::random_graph_yaml;
using testing::random_inputs;
using testing::RandomWeights;

// ---- CLIP and SigLIP by their formulas, independent of Graph: plain loops in double

using Rows = std::vector<std::vector<double>>;

class Formulas {
 public:
  Formulas(const RandomWeights& weights, double epsilon) : weights_(weights), epsilon_(epsilon) {}

  double at(const std::string& name, std::size_t index) const {
    return static_cast<double>(weights_.tensors().find(name)->second.floats()[index]);
  }
  std::size_t rows(const std::string& name) const {
    return static_cast<std::size_t>(weights_.tensors().find(name)->second.shape.front());
  }

  // Rows [begin, begin + count) of weight and bias.
  Rows linear(const Rows& x, const std::string& weight, const std::string& bias, std::size_t begin,
              std::size_t count) const {
    Rows y(x.size(), std::vector<double>(count));
    for (std::size_t t = 0; t < x.size(); ++t)
      for (std::size_t n = 0; n < count; ++n) {
        y[t][n] = bias.empty() ? 0 : at(bias, begin + n);
        for (std::size_t k = 0; k < x[t].size(); ++k) y[t][n] += x[t][k] * at(weight, (begin + n) * x[t].size() + k);
      }
    return y;
  }
  Rows linear(const Rows& x, const std::string& prefix) const {
    return linear(x, prefix + ".weight", prefix + ".bias", 0, rows(prefix + ".weight"));
  }

  Rows layer_norm(Rows x, const std::string& prefix) const {
    for (std::vector<double>& row : x) {
      double mean = 0, variance = 0;
      for (const double v : row) mean += v / static_cast<double>(row.size());
      for (const double v : row) variance += (v - mean) * (v - mean) / static_cast<double>(row.size());
      for (std::size_t i = 0; i < row.size(); ++i)
        row[i] = (row[i] - mean) / std::sqrt(variance + epsilon_) * at(prefix + ".weight", i) + at(prefix + ".bias", i);
    }
    return x;
  }

  static Rows attention(const Rows& q, const Rows& k, const Rows& v, std::size_t heads, bool causal) {
    const std::size_t width = q[0].size(), dim = width / heads;
    Rows out(q.size(), std::vector<double>(width, 0.0));
    for (std::size_t h = 0; h < heads; ++h)
      for (std::size_t i = 0; i < q.size(); ++i) {
        std::vector<double> weight(causal ? i + 1 : k.size());
        double sum = 0;
        for (std::size_t j = 0; j < weight.size(); ++j) {
          double dot = 0;
          for (std::size_t d = h * dim; d < (h + 1) * dim; ++d) dot += q[i][d] * k[j][d];
          sum += weight[j] = std::exp(dot / std::sqrt(static_cast<double>(dim)));
        }
        for (std::size_t j = 0; j < weight.size(); ++j)
          for (std::size_t d = h * dim; d < (h + 1) * dim; ++d) out[i][d] += weight[j] / sum * v[j][d];
      }
    return out;
  }

  static Rows sum(Rows x, const Rows& y) {
    for (std::size_t t = 0; t < x.size(); ++t)
      for (std::size_t i = 0; i < x[t].size(); ++i) x[t][i] += y[t][i];
    return x;
  }

  template <typename Activation>
  Rows mlp(const Rows& x, const std::string& prefix, const Activation& activation) const {
    Rows hidden = linear(x, prefix + ".fc1");
    for (std::vector<double>& row : hidden)
      for (double& v : row) v = activation(v);
    return linear(hidden, prefix + ".fc2");
  }

  template <typename Activation>
  Rows layer(const Rows& x, const std::string& prefix, std::size_t heads, bool causal,
             const Activation& activation) const {
    const Rows normed = layer_norm(x, prefix + ".layer_norm1");
    const Rows q = linear(normed, prefix + ".self_attn.q_proj"), k = linear(normed, prefix + ".self_attn.k_proj"),
               v = linear(normed, prefix + ".self_attn.v_proj");
    const Rows mid = sum(x, linear(attention(q, k, v, heads, causal), prefix + ".self_attn.out_proj"));
    return sum(mid, mlp(layer_norm(mid, prefix + ".layer_norm2"), prefix + ".mlp", activation));
  }

  Rows add_position(Rows x, const std::string& name) const {
    for (std::size_t t = 0; t < x.size(); ++t)
      for (std::size_t i = 0; i < x[t].size(); ++i) x[t][i] += at(name, t * x[t].size() + i);
    return x;
  }

  // A convolution whose stride is its kernel size, read pixel by pixel.
  Rows patches(std::span<const float> image, std::size_t height, std::size_t width, std::size_t patch,
               const std::string& weight) const {
    const std::size_t across = width / patch, count = height / patch * across;
    Rows out(count, std::vector<double>(rows(weight), 0.0));
    for (std::size_t p = 0; p < count; ++p)
      for (std::size_t n = 0; n < out[p].size(); ++n)
        for (std::size_t i = 0; i < 3 * patch * patch; ++i) {
          const std::size_t c = i / (patch * patch), y = i / patch % patch, x = i % patch;
          const std::size_t pixel = (c * height + p / across * patch + y) * width + p % across * patch + x;
          out[p][n] += static_cast<double>(image[pixel]) * at(weight, n * 3 * patch * patch + i);
        }
    return out;
  }

  static std::vector<double> normalized(std::vector<double> x) {
    double squares = 0;
    for (const double v : x) squares += v * v;
    for (double& v : x) v /= std::sqrt(squares);
    return x;
  }

 private:
  const RandomWeights& weights_;
  double epsilon_;
};

double quick_gelu(double x) { return x / (1 + std::exp(-1.702 * x)); }
double gelu_tanh(double x) { return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }

void expect_row(const HostTensor& actual, std::size_t row, const std::vector<double>& expected) {
  ASSERT_EQ(actual.shape[1], static_cast<std::int64_t>(expected.size()));
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(static_cast<double>(actual.floats()[row * expected.size() + i]), expected[i], 2e-5) << "column " << i;
}

Graph tiny_dual(int batch) {
  return load_graph(std::string(DUET_SOURCE_DIR) + "/graphs/tiny-dual.yaml", {.batch = batch});
}

std::vector<double> clip_image(const Formulas& f, std::span<const float> image) {
  Rows x = f.patches(image, 42, 56, 14, "vision_model.embeddings.patch_embedding.weight");
  std::vector<double> token(72);
  for (std::size_t i = 0; i < token.size(); ++i) token[i] = f.at("vision_model.embeddings.class_embedding", i);
  x.insert(x.begin(), token);
  x = f.add_position(std::move(x), "vision_model.embeddings.position_embedding.weight");
  x = f.layer_norm(std::move(x), "vision_model.pre_layrnorm");
  for (const char* layer : {"0", "1"})
    x = f.layer(x, std::string("vision_model.encoder.layers.") + layer, 3, false, quick_gelu);
  const Rows pooled = f.layer_norm({x[0]}, "vision_model.post_layernorm");
  return Formulas::normalized(f.linear(pooled, "visual_projection.weight", "", 0, 48)[0]);
}

std::vector<double> clip_text(const Formulas& f, std::span<const std::int32_t> ids) {
  Rows x;
  for (const std::int32_t id : ids) {
    x.emplace_back(40);
    for (std::size_t i = 0; i < 40; ++i)
      x.back()[i] = f.at("text_model.embeddings.token_embedding.weight", static_cast<std::size_t>(id) * 40 + i);
  }
  x = f.add_position(std::move(x), "text_model.embeddings.position_embedding.weight");
  for (const char* layer : {"0", "1"})
    x = f.layer(x, std::string("text_model.encoder.layers.") + layer, 5, true, quick_gelu);
  x = f.layer_norm(std::move(x), "text_model.final_layer_norm");
  const auto end = static_cast<std::size_t>(std::find(ids.begin(), ids.end(), 210) - ids.begin());
  return Formulas::normalized(f.linear({x[end]}, "text_projection.weight", "", 0, 48)[0]);
}

TEST(Reference, TinyDualFollowsClipsFormulas) {
  const Graph graph = tiny_dual(2);
  const RandomWeights weights(graph, 11);
  const auto inputs = random_inputs(graph, 12);
  const auto results = evaluate(graph, inputs, weights);
  const Formulas formulas(weights, 1e-5);
  Rows images, texts;
  for (std::size_t b = 0; b < 2; ++b) {
    const std::size_t pixels = 3 * 42 * 56;
    images.push_back(clip_image(formulas, inputs.at("pixel_values").floats().subspan(b * pixels, pixels)));
    texts.push_back(clip_text(formulas, inputs.at("input_ids").ints().subspan(b * 13, 13)));
    expect_row(results.at("image_embeds"), b, images.back());
    expect_row(results.at("text_embeds"), b, texts.back());
  }
  for (std::size_t i = 0; i < 2; ++i) {
    std::vector<double> logits(2, 0.0);
    for (std::size_t j = 0; j < 2; ++j)
      for (std::size_t k = 0; k < 48; ++k)
        logits[j] += std::exp(formulas.at("logit_scale", 0)) * images[i][k] * texts[j][k];
    for (std::size_t j = 0; j < 2; ++j)
      EXPECT_NEAR(static_cast<double>(results.at("logits_per_image").floats()[i * 2 + j]), logits[j], 2e-4);
  }
}

// One layer of SigLIP's vision tower with its head: a learned query attends, then a residual MLP.
TEST(Reference, AttentionPoolFollowsSiglipsFormulas) {
  const char* yaml = R"(duet: 1
name: siglip-head
inputs: {x: {dtype: float, shape: [B, 9, 32]}}
towers:
  vision:
    weights: vision_model
    nodes:
      - {name: head, op: attention_pool, input: x, heads: 2, mlp: 50, activation: gelu_tanh, epsilon: 1e-6, weights: head}
      - {name: out, op: l2_normalize, input: head}
outputs: {y: vision.out}
)";
  const Graph graph = parse_graph(yaml, "head.yaml", {.batch = 2});
  const RandomWeights weights(graph, 21);
  const auto inputs = random_inputs(graph, 22);
  const HostTensor y = evaluate(graph, inputs, weights).at("y");
  const Formulas f(weights, 1e-6);
  const std::string head = "vision_model.head";
  for (std::size_t b = 0; b < 2; ++b) {
    Rows x(9, std::vector<double>(32)), probe(1, std::vector<double>(32));
    for (std::size_t i = 0; i < 9 * 32; ++i)
      x[i / 32][i % 32] = static_cast<double>(inputs.at("x").floats()[b * 9 * 32 + i]);
    for (std::size_t i = 0; i < 32; ++i) probe[0][i] = f.at(head + ".probe", i);
    const auto packed = [&](const Rows& rows, std::size_t part) {
      return f.linear(rows, head + ".attention.in_proj_weight", head + ".attention.in_proj_bias", part * 32, 32);
    };
    const Rows attended = Formulas::attention(packed(probe, 0), packed(x, 1), packed(x, 2), 2, false);
    const Rows residual = f.linear(attended, head + ".attention.out_proj");
    const Rows out =
        Formulas::sum(residual, f.mlp(f.layer_norm(residual, head + ".layernorm"), head + ".mlp", gelu_tanh));
    expect_row(y, b, Formulas::normalized(out[0]));
  }
}

TEST(RandomGraph, AllLoadAndEvaluateToFiniteNormalisedEmbeddings) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const std::string yaml = random_graph_yaml(seed);
    SCOPED_TRACE(yaml);
    const Graph graph = parse_graph(yaml, "random", {.batch = static_cast<int>(seed % 3) + 1});
    const auto results = evaluate(graph, random_inputs(graph, seed), RandomWeights(graph, seed));
    for (const float logit : results.at("logits_per_image").floats()) ASSERT_TRUE(std::isfinite(logit));
    const HostTensor& embeds = results.at("image_embeds");
    const auto width = static_cast<std::size_t>(embeds.shape[1]);
    float squares = 0;
    for (const float x : embeds.floats().first(width)) squares += x * x;
    ASSERT_NEAR(squares, 1, 1e-4);
  }
}

TEST(RandomGraph, EqualSeedsGiveEqualText) {
  EXPECT_EQ(random_graph_yaml(7), random_graph_yaml(7));
  EXPECT_NE(random_graph_yaml(7), random_graph_yaml(8));
}

// Every tensor is a view of one buffer: drawing 151 million values would take longer than the model.
class OneBuffer : public WeightProvider {
 public:
  explicit OneBuffer(const Graph& graph) {
    std::int64_t most = 0;
    for (const Node& node : graph.nodes)
      for (const WeightRef& weight : node.weights) {
        shapes_[weight.source.tensor] = weight.source.shape;
        most = std::max(most, element_count(weight.source.shape));
      }
    values_.resize(static_cast<std::size_t>(most));
    for (std::size_t i = 0; i < values_.size(); ++i)
      values_[i] = float_to_half(
          Dtype::f16, 0.03f * static_cast<float>(static_cast<int>(i * 2654435761u >> 16 & 0xff) - 127) / 128.0f);
  }
  TensorView tensor(std::string_view name) const override {
    const Shape& shape = shapes_.find(name)->second;
    const auto count = static_cast<std::size_t>(element_count(shape));
    return {.dtype = Dtype::f16, .shape = shape, .bytes = std::as_bytes(std::span(values_).first(count))};
  }

 private:
  std::map<std::string, Shape, std::less<>> shapes_;
  std::vector<std::uint16_t> values_;
};

TEST(Reference, ClipBase32TakesAFewSecondsAtMost) {
  const Graph graph = load_graph(std::string(DUET_SOURCE_DIR) + "/graphs/clip-vit-b32.yaml", {});
  const OneBuffer weights(graph);
  const auto inputs = random_inputs(graph);
  const auto start = std::chrono::steady_clock::now();
  const auto results = evaluate(graph, inputs, weights);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  std::cout << "clip-vit-b32, batch 1: " << took.count() << " s\n";
  EXPECT_LT(took.count(), 30);  // generous: sanitizers and busy machines
  EXPECT_TRUE(std::isfinite(results.at("logits_per_image").floats()[0]));
}

}  // namespace
}  // namespace duet
