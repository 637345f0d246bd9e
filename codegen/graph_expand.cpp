#include "codegen/graph_expand.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/one_line.h"
#include "codegen/ops.h"

namespace duet {
namespace {

constexpr std::string_view kMaskNames[] = {"none", "causal", "padding", "causal_padding"};
constexpr std::string_view kPoolNames[] = {"class", "last", "eot", "mean"};  // in PoolKind's order
constexpr std::string_view kActivationNames[] = {"gelu", "gelu_tanh", "quick_gelu", "silu"};
constexpr OpKind kActivationOps[] = {OpKind::gelu, OpKind::gelu_tanh, OpKind::quick_gelu, OpKind::silu};

class Expander {
 public:
  Expander(Graph& graph, const Composite& composite)
      : graph_(graph), composite_(composite), fields_(composite.fields) {}

  const Fields& fields() const { return fields_; }
  [[noreturn]] void fail_here(std::string_view message) const { fields_.place().fail(message); }

  ValueId input(std::string_view key) const {
    return composite_.resolve(fields_.text(key), fields_.required(key).line);
  }
  const Shape& shape(ValueId value) const { return graph_.values[static_cast<std::size_t>(value)].type.shape; }
  // The width of an activation, which has at least a batch and a width.
  std::int64_t width(ValueId value) const {
    if (shape(value).size() < 2)
      fail_here(fmt::format("the input has shape {}, it needs 2 or more dimensions", shape_text(shape(value))));
    return shape(value).back();
  }

  // One primitive. The suffix is "" where a composite is a single one.
  ValueId append(std::string_view suffix, OpKind op, std::vector<ValueId> inputs, std::vector<WeightRef> weights = {},
                 const Attributes& attributes = {}) {
    if (graph_.nodes.size() >= kMaxNodes) fail_here(fmt::format("the graph has more than {} nodes", kMaxNodes));
    const auto id = static_cast<NodeId>(graph_.nodes.size());
    const auto output = static_cast<ValueId>(graph_.values.size());
    std::string name = suffix.empty() ? composite_.name : fmt::format("{}.{}", composite_.name, suffix);
    Node node{.name = name,
              .op = op,
              .inputs = std::move(inputs),
              .output = output,
              .weights = std::move(weights),
              .attributes = attributes,
              .line = fields_.place().line};
    const TensorType type = infer(node);
    graph_.nodes.push_back(std::move(node));
    graph_.values.push_back({.name = std::move(name), .type = type, .producer = id});
    return output;
  }

  // x W^T (+ bias), with weights `prefix`.weight and `prefix`.bias.
  ValueId linear(std::string_view suffix, ValueId x, std::int64_t outputs, std::string_view prefix, bool bias) {
    const ValueId product = append(join(suffix, "matmul"), OpKind::matmul, {x},
                                   {{"weight", fields_.weight(fmt::format("{}.weight", prefix), {outputs, width(x)})}});
    if (!bias) return product;
    return append(join(suffix, "bias"), OpKind::bias_add, {product},
                  {{"bias", fields_.weight(fmt::format("{}.bias", prefix), {outputs})}});
  }

  ValueId layer_norm(std::string_view suffix, ValueId x, std::string_view prefix) {
    Attributes attributes;
    attributes.epsilon = static_cast<float>(fields_.number("epsilon", 1e-5));
    return append(suffix, OpKind::layer_norm, {x},
                  {{"gamma", fields_.weight(fmt::format("{}.weight", prefix), {width(x)})},
                   {"beta", fields_.weight(fmt::format("{}.bias", prefix), {width(x)})}},
                  attributes);
  }

  ValueId position(ValueId x) {
    if (!fields_.has("position")) return x;
    if (shape(x).size() != 3) fail_here(fmt::format("positions need a sequence, not {}", shape_text(shape(x))));
    return append("position", OpKind::add_position, {x},
                  {{"position", fields_.weight_at("position", {shape(x)[1], shape(x)[2]})}});
  }

  // softmax(q k^T / sqrt(head_dim) + mask) v
  ValueId attention(std::string_view suffix, ValueId q, ValueId k, ValueId v, AttentionMask mask, ValueId mask_input) {
    Attributes attributes;
    attributes.heads = static_cast<int>(fields_.integer("heads", 1, 1024));
    ValueId scores = append(join(suffix, "scores"), OpKind::attention_scores, {q, k}, {}, attributes);
    const double head_dim = static_cast<double>(width(q)) / attributes.heads;
    attributes = {};
    attributes.value = static_cast<float>(1.0 / std::sqrt(head_dim));
    scores = append(join(suffix, "scale"), OpKind::scale, {scores}, {}, attributes);
    if (mask == AttentionMask::causal || mask == AttentionMask::causal_padding)
      scores = append(join(suffix, "causal_mask"), OpKind::causal_mask, {scores});
    if (mask_input != kNone) scores = append(join(suffix, "padding_mask"), OpKind::padding_mask, {scores, mask_input});
    const ValueId probabilities = append(join(suffix, "softmax"), OpKind::softmax, {scores});
    return append(join(suffix, "values"), OpKind::attention_values, {probabilities, v});
  }

  static std::string join(std::string_view suffix, std::string_view part) {
    return suffix.empty() ? std::string(part) : fmt::format("{}.{}", suffix, part);
  }

 private:
  // Dimensions stay small enough for every product of them to fit 64 bits.
  TensorType infer(const Node& node) const {
    try {
      TensorType type = infer_type(graph_, node);
      for (const std::int64_t extent : type.shape)
        if (extent > kMaxDimension)
          fail(ErrorKind::input, "the result {} has a dimension above {}", shape_text(type.shape), kMaxDimension);
      return type;
    } catch (const Error& error) {
      fail_here(error.what());
    }
  }

  Graph& graph_;
  const Composite& composite_;
  const Fields& fields_;
};

ValueId expand_patch_embed(Expander& e) {
  const Fields& fields = e.fields();
  const ValueId image = e.input("input");
  if (e.shape(image).size() != 4)
    e.fail_here(
        fmt::format("the input has shape {}, an image is (B, channels, height, width)", shape_text(e.shape(image))));
  Attributes attributes;
  attributes.patch = static_cast<int>(fields.integer("patch", 1, 512));
  const std::int64_t outputs = fields.integer("width");
  const std::string prefix = fields.text("weights");
  const Shape weight_shape = {outputs, e.shape(image)[1], attributes.patch, attributes.patch};
  ValueId x = e.append("patches", OpKind::patch_extract, {image}, {}, attributes);
  x = e.append("matmul", OpKind::matmul, {x}, {{"weight", fields.weight(prefix + ".weight", weight_shape)}});
  if (fields.flag("bias", false))
    x = e.append("bias", OpKind::bias_add, {x}, {{"bias", fields.weight(prefix + ".bias", {outputs})}});
  if (fields.has("class_token"))
    x = e.append("class_token", OpKind::prepend_token, {x},
                 {{"class_token", fields.weight_at("class_token", {outputs})}});
  return e.position(x);
}

ValueId expand_embedding(Expander& e) {
  const Shape table = {e.fields().integer("vocabulary"), e.fields().integer("width")};
  const ValueId x =
      e.append("gather", OpKind::gather, {e.input("input")}, {{"table", e.fields().weight_at("table", table)}});
  return e.position(x);
}

ValueId expand_layer_norm(Expander& e) { return e.layer_norm("", e.input("input"), e.fields().text("weights")); }

// Weights by prefix, or weight and bias each by its own name, where they may be rows of a packed tensor.
ValueId linear_with(Expander& e, bool bias_by_default) {
  const Fields& fields = e.fields();
  const ValueId x = e.input("input");
  const std::int64_t outputs = fields.integer("width");
  if (fields.has("weights")) {
    if (fields.has("weight") || fields.has("bias_weight")) e.fail_here("'weights' excludes 'weight' and 'bias_weight'");
    return e.linear("", x, outputs, fields.text("weights"), fields.flag("bias", bias_by_default));
  }
  if (fields.has("bias")) e.fail_here("'bias' goes with 'weights'; with 'weight', name the tensor as 'bias_weight'");
  if (!fields.has("weight")) e.fail_here("needs the key 'weights' (a prefix) or 'weight' (a tensor)");
  const ValueId product =
      e.append("matmul", OpKind::matmul, {x}, {{"weight", fields.weight_at("weight", {outputs, e.width(x)})}});
  if (!fields.has("bias_weight")) return product;
  return e.append("bias", OpKind::bias_add, {product}, {{"bias", fields.weight_at("bias_weight", {outputs})}});
}
ValueId expand_linear(Expander& e) { return linear_with(e, true); }
ValueId expand_projection(Expander& e) { return linear_with(e, false); }

template <OpKind op>
ValueId expand_unary(Expander& e) {
  return e.append("", op, {e.input("input")});
}

ValueId expand_attention(Expander& e) {
  const Fields& fields = e.fields();
  const auto mask = static_cast<AttentionMask>(fields.choice("mask", kMaskNames));
  const bool padded = mask == AttentionMask::padding || mask == AttentionMask::causal_padding;
  if (padded != fields.has("mask_input"))
    e.fail_here(padded ? "a padding mask needs the key 'mask_input'"
                       : "'mask_input' goes with mask padding or causal_padding");
  const ValueId q = e.input("q"), k = e.input("k"), v = e.input("v");
  const ValueId mask_input = padded ? e.input("mask_input") : kNone;
  return e.attention("", q, k, v, mask, mask_input);
}

ValueId expand_add(Expander& e) { return e.append("", OpKind::add, {e.input("left"), e.input("right")}); }

ValueId expand_pool(Expander& e) {
  const Fields& fields = e.fields();
  fields.required("kind");
  Attributes attributes;
  attributes.pool = static_cast<PoolKind>(fields.choice("kind", kPoolNames));
  std::vector<ValueId> inputs = {e.input("input")};
  const bool eot = attributes.pool == PoolKind::eot;
  if (!eot && (fields.has("ids") || fields.has("eot_token"))) e.fail_here("'ids' and 'eot_token' go with kind eot");
  if (eot) {
    inputs.push_back(e.input("ids"));
    attributes.eot_token = static_cast<int>(fields.integer("eot_token", 0, kMaxDimension));
  }
  return e.append("", OpKind::pool, std::move(inputs), {}, attributes);
}

// SigLIP's head: a learned query attends to the sequence; the result passes a residual MLP.
ValueId expand_attention_pool(Expander& e) {
  const Fields& fields = e.fields();
  const ValueId x = e.input("input");
  const std::int64_t width = e.width(x);
  const std::int64_t hidden = fields.integer("mlp");
  const std::string prefix = fields.text("weights");
  const auto packed = [&](std::string_view part, std::int64_t index, ValueId input) {
    const auto rows_of = [&](WeightSource source) {
      source.row_begin = index * width;
      source.row_end = (index + 1) * width;
      return source;
    };
    const ValueId product =
        e.append(Expander::join(part, "matmul"), OpKind::matmul, {input},
                 {{"weight", rows_of(fields.weight(prefix + ".attention.in_proj_weight", {3 * width, width}))}});
    return e.append(Expander::join(part, "bias"), OpKind::bias_add, {product},
                    {{"bias", rows_of(fields.weight(prefix + ".attention.in_proj_bias", {3 * width}))}});
  };
  const ValueId probe =
      e.append("probe", OpKind::broadcast_token, {}, {{"token", fields.weight(prefix + ".probe", {1, 1, width})}});
  const ValueId q = packed("q", 0, probe), k = packed("k", 1, x), v = packed("v", 2, x);
  const ValueId attended = e.attention("attention", q, k, v, AttentionMask::none, kNone);
  const ValueId residual = e.linear("out", attended, width, prefix + ".attention.out_proj", true);
  ValueId y = e.layer_norm("norm", residual, prefix + ".layernorm");
  y = e.linear("fc1", y, hidden, prefix + ".mlp.fc1", true);
  y = e.append("activation", kActivationOps[fields.choice("activation", kActivationNames)], {y});
  y = e.linear("fc2", y, width, prefix + ".mlp.fc2", true);
  y = e.append("add", OpKind::add, {residual, y});
  return e.append("pool", OpKind::pool, {y});
}

ValueId expand_similarity(Expander& e) {
  const Fields& fields = e.fields();
  const Shape scalar = fields.has("scalar_rank") && fields.integer("scalar_rank", 0, 1) == 1 ? Shape{1} : Shape{};
  std::vector<WeightRef> weights = {{"scale", fields.weight_at("scale", scalar)}};
  if (fields.has("bias")) weights.push_back({"bias", fields.weight_at("bias", scalar)});
  return e.append("", OpKind::similarity, {e.input("image"), e.input("text")}, std::move(weights));
}

struct CompositeRow {
  std::string_view op;
  ValueId (*expand)(Expander&);
  std::array<std::string_view, 9> keys;  // "name" and "op" first
};

constexpr CompositeRow kComposites[] = {
    {"patch_embed",
     expand_patch_embed,
     {"name", "op", "input", "patch", "width", "weights", "bias", "class_token", "position"}},
    {"embedding", expand_embedding, {"name", "op", "input", "vocabulary", "width", "table", "position"}},
    {"layer_norm", expand_layer_norm, {"name", "op", "input", "weights", "epsilon"}},
    {"linear", expand_linear, {"name", "op", "input", "width", "weights", "bias", "weight", "bias_weight"}},
    {"projection", expand_projection, {"name", "op", "input", "width", "weights", "bias", "weight", "bias_weight"}},
    {"gelu", expand_unary<OpKind::gelu>, {"name", "op", "input"}},
    {"gelu_tanh", expand_unary<OpKind::gelu_tanh>, {"name", "op", "input"}},
    {"quick_gelu", expand_unary<OpKind::quick_gelu>, {"name", "op", "input"}},
    {"silu", expand_unary<OpKind::silu>, {"name", "op", "input"}},
    {"attention", expand_attention, {"name", "op", "q", "k", "v", "heads", "mask", "mask_input"}},
    {"add", expand_add, {"name", "op", "left", "right"}},
    {"pool", expand_pool, {"name", "op", "input", "kind", "ids", "eot_token"}},
    {"attention_pool",
     expand_attention_pool,
     {"name", "op", "input", "heads", "mlp", "activation", "epsilon", "weights"}},
    {"l2_normalize", expand_unary<OpKind::l2_normalize>, {"name", "op", "input"}},
    {"similarity", expand_similarity, {"name", "op", "image", "text", "scale", "bias", "scalar_rank"}},
};

const CompositeRow* find_row(std::string_view op) {
  for (const CompositeRow& row : kComposites)
    if (row.op == op) return &row;
  return nullptr;
}

}  // namespace

ValueId expand_composite(Graph& graph, const Composite& composite) {
  const CompositeRow* row = find_row(composite.op);
  if (row == nullptr)
    composite.fields.place().fail(
        fmt::format("unknown op '{}'{}", printable(composite.op), suggestion(composite.op, composite_op_names())));
  Expander expander(graph, composite);
  const ValueId result = row->expand(expander);
  graph.values[static_cast<std::size_t>(result)].name = composite.name;
  return result;
}

std::vector<std::string_view> composite_op_names() {
  std::vector<std::string_view> names;
  for (const CompositeRow& row : kComposites) names.push_back(row.op);
  return names;
}

std::span<const std::string_view> composite_keys(std::string_view op) {
  const CompositeRow* row = find_row(op);
  if (row == nullptr) return {};
  std::size_t count = 0;
  while (count < row->keys.size() && !row->keys[count].empty()) ++count;
  return {row->keys.data(), count};
}

}  // namespace duet
