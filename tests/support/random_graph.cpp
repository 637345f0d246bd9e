#include "tests/support/random_graph.h"

#include <fmt/format.h>

#include <initializer_list>
#include <random>
#include <string_view>
#include <vector>

namespace duet::testing {
namespace {

// The standard's distributions differ between libraries, its engines do not.
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : engine_(seed) {}
  int between(int least, int most) {
    return least + static_cast<int>(engine_() % static_cast<std::uint64_t>(most - least + 1));
  }
  bool coin() { return between(0, 1) == 1; }
  template <typename T>
  T of(std::initializer_list<T> choices) {
    return *(choices.begin() + between(0, static_cast<int>(choices.size()) - 1));
  }

 private:
  std::mt19937_64 engine_;
};

struct Tower {
  std::string prefix;  // of its parameters' names
  int width = 0, heads = 0, mlp = 0, layers = 0;
  std::string activation{};
  std::string mask = "none";
  bool norm_first = true;
  bool biases = true;
};

Tower random_tower(Draw& draw, std::string prefix) {
  Tower tower{.prefix = std::move(prefix)};
  tower.heads = draw.between(1, 4);
  tower.width = tower.heads * draw.of({8, 16, 24, 32});
  tower.mlp = draw.between(9, 120);
  tower.layers = draw.between(1, 3);
  tower.activation = draw.of({"gelu", "gelu_tanh", "quick_gelu", "silu"});
  tower.norm_first = draw.between(0, 3) != 0;
  tower.biases = draw.between(0, 3) != 0;
  return tower;
}

std::string linear(const Tower& tower, std::string_view name, std::string_view input, int width) {
  return fmt::format("          - {{name: {0}, op: linear, input: {1}, width: {2}, bias: {3}, weights: {0}}}\n", name,
                     input, width, tower.biases);
}

std::string norm(std::string_view name, std::string_view input) {
  return fmt::format("          - {{name: {0}, op: layer_norm, input: {1}, weights: {0}}}\n", name, input);
}

std::string attention(const Tower& tower, std::string_view input) {
  std::string text;
  for (const std::string_view part : {"q", "k", "v"}) text += linear(tower, part, input, tower.width);
  const bool padded = tower.mask == "padding" || tower.mask == "causal_padding";
  text += fmt::format("          - {{name: attention, op: attention, q: q, k: k, v: v, heads: {}, mask: {}{}}}\n",
                      tower.heads, tower.mask, padded ? ", mask_input: attention_mask" : "");
  return text + linear(tower, "o", "attention", tower.width);
}

std::string mlp(const Tower& tower, std::string_view input) {
  return linear(tower, "fc1", input, tower.mlp) +
         fmt::format("          - {{name: act, op: {}, input: fc1}}\n", tower.activation) +
         linear(tower, "fc2", "act", tower.width);
}

std::string add(std::string_view name, std::string_view left, std::string_view right) {
  return fmt::format("          - {{name: {}, op: add, left: {}, right: {}}}\n", name, left, right);
}

// Normalised before each half (CLIP), or after each residual (BERT).
std::string layers(const Tower& tower, std::string_view from) {
  std::string text = fmt::format(
      "      - repeat: layers\n        count: {}\n        index: i\n        carry: x\n        from: {}\n"
      "        yield: out\n        weights: layers.{{i}}\n        body:\n",
      tower.layers, from);
  if (tower.norm_first)
    return text + norm("norm1", "x") + attention(tower, "norm1") + add("mid", "x", "o") + norm("norm2", "mid") +
           mlp(tower, "norm2") + add("out", "mid", "fc2");
  return text + attention(tower, "x") + add("sum1", "x", "o") + norm("mid", "sum1") + mlp(tower, "mid") +
         add("sum2", "mid", "fc2") + norm("out", "sum2");
}

// Pool, perhaps a norm on either side, projection, normalisation.
std::string head(Draw& draw, std::string pooling, int projection) {
  std::string text;
  std::string last = "layers";
  const auto norm_if = [&](bool wanted, std::string_view name) {
    if (!wanted) return;
    text += fmt::format("      - {{name: {0}, op: layer_norm, input: {1}, weights: {0}}}\n", name, last);
    last = name;
  };
  norm_if(draw.coin(), "final_norm");
  text += fmt::format("      - {{name: pooled, input: {}, {}}}\n", last, pooling);
  last = "pooled";
  norm_if(draw.coin(), "post_norm");
  text +=
      fmt::format("      - {{name: projection, op: projection, input: {}, width: {}, bias: {}, weights: projection}}\n",
                  last, projection, draw.coin());
  return text + "      - {name: normalize, op: l2_normalize, input: projection}\n";
}

struct Image {
  int channels = 3, height = 0, width = 0, patch = 0;
};

Image random_image(Draw& draw) {
  Image image{.channels = draw.between(1, 4), .patch = draw.of({4, 6, 8, 14, 16})};
  // A rest that fills no patch is cut off, as a convolution does.
  image.height = image.patch * draw.between(1, 4) + 2 * draw.between(0, 1);
  image.width = image.patch * draw.between(1, 4) + 2 * draw.between(0, 1);
  return image;
}

std::string vision_section(Draw& draw, const Image& image, int projection) {
  const Tower tower = random_tower(draw, "vision");
  const bool class_token = draw.coin();
  const bool pre_norm = draw.coin();
  std::string text = fmt::format(
      "  vision:\n    weights: vision\n    nodes:\n"
      "      - {{name: embed, op: patch_embed, input: pixel_values, patch: {}, width: {}, weights: patches, bias: "
      "{}{}{}}}\n",
      image.patch, tower.width, draw.coin(), class_token ? ", class_token: class_token" : "",
      draw.between(0, 3) != 0 ? ", position: position" : "");
  if (pre_norm) text += "      - {name: pre_norm, op: layer_norm, input: embed, weights: pre_norm}\n";
  text += layers(tower, pre_norm ? "pre_norm" : "embed");
  const int kind = draw.between(0, 3);
  std::string pooling = "op: pool, kind: mean";
  if (kind == 1) pooling = "op: pool, kind: last";
  if (kind == 2) pooling = "op: pool, kind: class";
  if (kind == 3)
    pooling = fmt::format("op: attention_pool, heads: {}, mlp: {}, activation: {}, weights: head", tower.heads,
                          draw.between(9, 100), tower.activation);
  return text + head(draw, pooling, projection);
}

std::string text_section(Draw& draw, int vocabulary, bool padded, int projection) {
  Tower tower = random_tower(draw, "text");
  const bool causal = draw.coin();
  tower.mask = padded ? (causal ? "causal_padding" : "padding") : (causal ? "causal" : "none");
  const std::string section = fmt::format(
      "  text:\n    weights: text\n    nodes:\n"
      "      - {{name: embed, op: embedding, input: input_ids, vocabulary: {}, width: {}, table: table{}}}\n",
      vocabulary, tower.width, draw.between(0, 3) != 0 ? ", position: position" : "");
  const std::string pooling =
      draw.of<std::string>({"op: pool, kind: last", "op: pool, kind: mean", "op: pool, kind: class",
                            fmt::format("op: pool, kind: eot, ids: input_ids, eot_token: {}", vocabulary - 1)});
  return section + layers(tower, "embed") + head(draw, pooling, projection);
}

}  // namespace

std::string random_graph_yaml(std::uint64_t seed) {
  Draw draw(seed);
  const Image image = random_image(draw);
  const int tokens = draw.between(1, 24), vocabulary = draw.between(17, 300), projection = draw.between(5, 64);
  const bool padded = draw.coin();
  std::string text = fmt::format(
      "duet: 1\nname: random-{}\ninputs:\n  pixel_values: {{dtype: float, shape: [B, {}, {}, {}]}}\n"
      "  input_ids: {{dtype: i32, shape: [B, {}]}}\n",
      seed, image.channels, image.height, image.width, tokens);
  if (padded) text += fmt::format("  attention_mask: {{dtype: i32, shape: [B, {}]}}\n", tokens);
  text += "towers:\n" + vision_section(draw, image, projection) + text_section(draw, vocabulary, padded, projection);
  text += fmt::format(
      "joint:\n  nodes:\n    - {{name: logits, op: similarity, image: vision.normalize, "
      "text: text.normalize, scale: logit_scale{}, scalar_rank: {}}}\n",
      draw.coin() ? ", bias: logit_bias" : "", draw.between(0, 1));
  return text +
         "outputs:\n  image_embeds: vision.normalize\n  text_embeds: text.normalize\n  logits_per_image: "
         "joint.logits\n";
}

}  // namespace duet::testing
