#include "codegen/shorten_text.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "codegen/ops.h"
#include "codegen/verify.h"

namespace duet {
namespace {

const Value& value_of(const Graph& graph, ValueId id) { return graph.values[static_cast<std::size_t>(id)]; }

[[noreturn]] void refuse(const Graph& graph, std::string_view why) {
  fail(ErrorKind::usage, "the text tower of '{}' cannot be cut to the length of a text: {}", graph.name, why);
}

const Node& text_pool(const Graph& graph) {
  for (const Node& node : graph.nodes)
    if (node.op == OpKind::pool && node.attributes.pool == PoolKind::eot) return node;
  refuse(graph, "no node pools at an end-of-text token, so that the result may depend on every token");
}

ValueId text_ids(const Graph& graph) {
  const ValueId ids = text_pool(graph).inputs[1];
  if (value_of(graph, ids).producer != kNone) refuse(graph, "its token ids are computed");
  return ids;
}

// By value: has a dimension of tokens, made of `ids` alone.
std::vector<bool> token_values(const Graph& graph, ValueId ids) {
  std::vector<bool> of_tokens(graph.values.size());
  of_tokens[static_cast<std::size_t>(ids)] = true;
  for (const Node& node : graph.nodes) {
    const bool reads = std::any_of(node.inputs.begin(), node.inputs.end(),
                                   [&](ValueId input) { return of_tokens[static_cast<std::size_t>(input)]; });
    if (reads && node.op != OpKind::pool) of_tokens[static_cast<std::size_t>(node.output)] = true;
  }
  return of_tokens;
}

// Whether future keys are masked on the way from the scores to this softmax.
bool is_masked(const Graph& graph, const Node& softmax) {
  for (const Node* node = &softmax;;) {
    const NodeId producer = value_of(graph, node->inputs[0]).producer;
    if (producer == kNone) return false;
    node = &graph.nodes[static_cast<std::size_t>(producer)];
    if (node->op == OpKind::causal_mask) return true;
    if (node->op != OpKind::scale && node->op != OpKind::padding_mask) return false;
  }
}

// What a token's row is made of lies at or before it.
void require_causal(const Graph& graph, const Node& node) {
  switch (node.op) {
    case OpKind::softmax:
      if (!is_masked(graph, node))
        refuse(graph, fmt::format("'{}' attends to later tokens, it is not causal", node.name));
      return;
    case OpKind::pool:
      if (node.attributes.pool != PoolKind::eot && node.attributes.pool != PoolKind::first)
        refuse(graph, fmt::format("'{}' pools other tokens than that of the end of text", node.name));
      return;
    case OpKind::prepend_token:
    case OpKind::padding_mask:
    case OpKind::similarity:
    case OpKind::patch_extract:
      return refuse(graph, fmt::format("'{}' is a {}, which is not known to be causal", node.name, op_name(node.op)));
    default:
      return;
  }
}

void use_first_positions(Node& node, std::int64_t tokens) {
  for (WeightRef& weight : node.weights) weight.source.row_end = weight.source.row_begin + tokens;
}

}  // namespace

Graph shorten_text(const Graph& graph, std::int64_t tokens) {
  const ValueId ids = text_ids(graph);
  const std::int64_t all = value_of(graph, ids).type.shape.at(1);
  if (tokens < 1 || tokens > all)
    fail(ErrorKind::usage, "a text length of {} tokens: '{}' takes 1 to {}", tokens, graph.name, all);
  const std::vector<bool> of_tokens = token_values(graph, ids);
  Graph shorter = graph;
  shorter.values[static_cast<std::size_t>(ids)].type.shape[1] = tokens;
  for (Node& node : shorter.nodes) {
    const bool reads = std::any_of(node.inputs.begin(), node.inputs.end(),
                                   [&](ValueId input) { return of_tokens[static_cast<std::size_t>(input)]; });
    if (!reads) continue;
    require_causal(graph, node);
    if (node.op == OpKind::add_position) use_first_positions(node, tokens);
    shorter.values[static_cast<std::size_t>(node.output)].type = infer_type(shorter, node);
  }
  for (const ValueId output : shorter.outputs)
    if (of_tokens[static_cast<std::size_t>(output)])
      refuse(graph, fmt::format("its output '{}' has a row for each token", value_of(graph, output).name));
  verify_graph(shorter, "shorten_text");
  return shorter;
}

std::int64_t longest_text(const Graph& graph, const HostTensor& ids) {
  const std::int32_t end = text_pool(graph).attributes.eot_token;
  const std::span<const std::int32_t> values = ids.ints();
  const auto tokens = static_cast<std::ptrdiff_t>(ids.shape.at(1));
  std::ptrdiff_t longest = 1;
  for (auto row = values.begin(); row != values.end(); row += tokens)
    if (const auto found = std::find(row, row + tokens, end); found != row + tokens)
      longest = std::max(longest, found - row + 1);
  return longest;
}

const std::string& text_input(const Graph& graph) { return value_of(graph, text_ids(graph)).name; }

}  // namespace duet
