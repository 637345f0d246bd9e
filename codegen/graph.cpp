#include "codegen/graph.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "base/hash.h"

namespace duet {
namespace {

constexpr std::array<std::string_view, 4> kPoolNames = {"first", "last", "eot", "mean"};

std::string weight_text(const WeightRef& weight) {
  const WeightSource& source = weight.source;
  const std::int64_t all_rows = source.shape.empty() ? 1 : source.shape.front();
  std::string rows;
  if (source.row_begin != 0 || source.row_end != all_rows)
    rows = fmt::format("[{}:{}]", source.row_begin, source.row_end);
  return fmt::format(" {}={}{} {}", weight.role, source.tensor, rows, shape_text(source.shape));
}

// The attributes that the op reads, and no others.
std::string attributes_text(const Node& node) {
  const Attributes& attributes = node.attributes;
  switch (node.op) {
    case OpKind::patch_extract:
      return fmt::format(" patch={}", attributes.patch);
    case OpKind::layer_norm:
      return fmt::format(" epsilon={}", attributes.epsilon);
    case OpKind::attention_scores:
      return fmt::format(" heads={}", attributes.heads);
    case OpKind::scale:
      return fmt::format(" value={}", attributes.value);
    case OpKind::pool: {
      std::string text = fmt::format(" pool={}", kPoolNames[static_cast<std::size_t>(attributes.pool)]);
      if (attributes.pool == PoolKind::eot) text += fmt::format(" eot_token={}", attributes.eot_token);
      return text;
    }
    default:
      return "";
  }
}

// "name = op(inputs) attributes weights", without the type of the result.
std::string node_text(const Graph& graph, const Node& node) {
  std::vector<std::string_view> inputs;
  for (const ValueId input : node.inputs) inputs.push_back(graph.values[static_cast<std::size_t>(input)].name);
  const std::string& output = graph.values[static_cast<std::size_t>(node.output)].name;
  std::string text = output == node.name ? node.name : fmt::format("{} [{}]", output, node.name);
  text += fmt::format(" = {}({})", op_name(node.op), fmt::join(inputs, ", "));
  text += attributes_text(node);
  for (const WeightRef& weight : node.weights) text += weight_text(weight);
  return text;
}

std::string type_text(const TensorType& type) {
  return fmt::format("{} {}", dtype_name(type.dtype), shape_text(type.shape));
}

// The type with the batch and the precision left open, so that it is the same for every batch of a model.
std::string symbolic_type_text(const Graph& graph, const TensorType& type) {
  const std::string_view dtype = type.dtype == graph.precision ? "float" : dtype_name(type.dtype);
  if (type.shape.empty() || type.shape.front() != graph.batch)
    return fmt::format("{} {}", dtype, shape_text(type.shape));
  return fmt::format("{} B{}", dtype, shape_text(Shape(type.shape.begin() + 1, type.shape.end())));
}

std::string outputs_text(const Graph& graph) {
  std::string text;
  for (const ValueId output : graph.outputs)
    text += fmt::format("output {}\n", graph.values[static_cast<std::size_t>(output)].name);
  return text;
}

}  // namespace

std::string_view op_name(OpKind op) {
  switch (op) {
    case OpKind::patch_extract:
      return "patch_extract";
    case OpKind::matmul:
      return "matmul";
    case OpKind::bias_add:
      return "bias_add";
    case OpKind::gelu:
      return "gelu";
    case OpKind::gelu_tanh:
      return "gelu_tanh";
    case OpKind::quick_gelu:
      return "quick_gelu";
    case OpKind::silu:
      return "silu";
    case OpKind::add:
      return "add";
    case OpKind::layer_norm:
      return "layer_norm";
    case OpKind::row_sums:
      return "row_sums";
    case OpKind::gather:
      return "gather";
    case OpKind::prepend_token:
      return "prepend_token";
    case OpKind::broadcast_token:
      return "broadcast_token";
    case OpKind::add_position:
      return "add_position";
    case OpKind::attention_scores:
      return "attention_scores";
    case OpKind::scale:
      return "scale";
    case OpKind::causal_mask:
      return "causal_mask";
    case OpKind::padding_mask:
      return "padding_mask";
    case OpKind::softmax:
      return "softmax";
    case OpKind::attention_values:
      return "attention_values";
    case OpKind::pool:
      return "pool";
    case OpKind::l2_normalize:
      return "l2_normalize";
    case OpKind::similarity:
      return "similarity";
  }
  return "unknown";
}

const WeightRef* Node::weight(std::string_view role) const {
  const auto found = std::find_if(weights.begin(), weights.end(), [&](const WeightRef& w) { return w.role == role; });
  return found == weights.end() ? nullptr : &*found;
}

std::string graph_text(const Graph& graph) {
  std::string text =
      fmt::format("graph {} batch={} precision={}\n", graph.name, graph.batch, dtype_name(graph.precision));
  for (const ValueId input : graph.inputs) {
    const Value& value = graph.values[static_cast<std::size_t>(input)];
    text += fmt::format("input {} -> {}\n", value.name, type_text(value.type));
  }
  for (const Node& node : graph.nodes) {
    const Value& output = graph.values[static_cast<std::size_t>(node.output)];
    text += fmt::format("{} -> {}\n", node_text(graph, node), type_text(output.type));
  }
  return text + outputs_text(graph);
}

// The types of results follow from the inputs, so they need not be hashed, and with them the batch drops out.
std::string graph_hash(const Graph& graph) {
  std::string text = fmt::format("graph {}\n", graph.name);
  for (const ValueId input : graph.inputs) {
    const Value& value = graph.values[static_cast<std::size_t>(input)];
    text += fmt::format("input {} -> {}\n", value.name, symbolic_type_text(graph, value.type));
  }
  for (const Node& node : graph.nodes) text += node_text(graph, node) + "\n";
  return hash_text(text + outputs_text(graph));
}

std::vector<NodeId> consumers(const Graph& graph, ValueId value) {
  std::vector<NodeId> found;
  for (std::size_t node = 0; node < graph.nodes.size(); ++node) {
    const std::vector<ValueId>& inputs = graph.nodes[node].inputs;
    if (std::find(inputs.begin(), inputs.end(), value) != inputs.end()) found.push_back(static_cast<NodeId>(node));
  }
  return found;
}

ValueId rows_of_sums(const Graph& graph, ValueId value) {
  const NodeId producer = graph.values[static_cast<std::size_t>(value)].producer;
  if (producer != kNone) {
    const Node& node = graph.nodes[static_cast<std::size_t>(producer)];
    return node.op == OpKind::row_sums ? node.inputs[0] : kNone;
  }
  for (const Node& node : graph.nodes)
    if (node.op == OpKind::layer_norm && node.inputs.size() == 2 && node.inputs[1] == value) return node.inputs[0];
  return kNone;
}

bool is_row_sums(const Graph& graph, ValueId value) { return rows_of_sums(graph, value) != kNone; }

}  // namespace duet
