// Layer norms whose statistics come from the kernel before. A product that normalises its rows would add up each of
// them again for every tile of columns; whoever writes the rows adds them up once.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "codegen/fusion.h"
#include "codegen/fusion_passes.h"
#include "codegen/ops.h"

namespace duet {
namespace {

const Node& node_of(const Graph& graph, NodeId id) { return graph.nodes[static_cast<std::size_t>(id)]; }

bool has(const Graph& graph, const FusedGroup& group, OpKind op) {
  return std::any_of(group.nodes.begin(), group.nodes.end(), [&](NodeId id) { return node_of(graph, id).op == op; });
}

// The layer norm that a product takes its rows through, or kNone.
NodeId folded_norm(const Graph& graph, const FusedGroup& group) {
  if (!has(graph, group, OpKind::matmul) || has(graph, group, OpKind::pool)) return kNone;
  for (const NodeId id : group.nodes)
    if (node_of(graph, id).op == OpKind::layer_norm) return id;
  return kNone;
}

bool joins_a_product(OpKind op) {
  return op == OpKind::patch_extract || op == OpKind::layer_norm || op == OpKind::matmul || op == OpKind::bias_add ||
         op == OpKind::add || op == OpKind::add_position || is_activation(op);
}

// Whether one kernel of a family that can leave row sums writes the rows, and nothing else.
bool leaves_rows(const Graph& graph, const FusedGroup& group, ValueId rows) {
  if (group.outputs != std::vector<ValueId>{rows} || node_of(graph, group.nodes.back()).output != rows) return false;
  const OpKind first = node_of(graph, group.nodes.front()).op;
  if (first == OpKind::gather || first == OpKind::prepend_token) return true;
  return has(graph, group, OpKind::matmul) && std::all_of(group.nodes.begin(), group.nodes.end(), [&](NodeId id) {
           return joins_a_product(node_of(graph, id).op);
         });
}

// Which groups, by their indices, leave the sums of which rows, and which groups read them.
struct Sharing {
  std::map<ValueId, std::size_t> writers;
  std::map<std::size_t, ValueId> readers;
};

// What tells apart groups that need kernels of their own.
std::string problem_of(const Graph& graph, const FusedGroup& group) {
  std::string text;
  for (const NodeId id : group.nodes) {
    const Node& node = node_of(graph, id);
    text += fmt::format("{} {}", op_name(node.op),
                        shape_text(graph.values[static_cast<std::size_t>(node.output)].type.shape));
    for (const WeightRef& weight : node.weights) text += weight.role + shape_text(weight.source.shape);
  }
  return text;
}

// The last layer's rows go elsewhere. Where they are written as the others are, their sums are left too, read by
// nobody, so that one kernel serves all layers.
void add_equals_of_writers(const Graph& graph, const std::vector<FusedGroup>& groups, Sharing& sharing) {
  std::set<std::string> problems;
  for (const auto& [rows, writer] : sharing.writers) problems.insert(problem_of(graph, groups[writer]));
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (groups[i].outputs.size() != 1 || !leaves_rows(graph, groups[i], groups[i].outputs.front())) continue;
    if (problems.contains(problem_of(graph, groups[i]))) sharing.writers.emplace(groups[i].outputs.front(), i);
  }
}

Sharing find_sharing(const Graph& graph, const std::vector<FusedGroup>& groups, const TowerSms& sms) {
  std::map<ValueId, std::size_t> writer_of;
  for (std::size_t i = 0; i < groups.size(); ++i)
    for (const ValueId value : groups[i].outputs) writer_of[value] = i;
  Sharing sharing;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const NodeId norm = folded_norm(graph, groups[i]);
    if (norm == kNone || node_of(graph, norm).inputs.size() != 1) continue;
    const ValueId rows = node_of(graph, norm).inputs[0];
    const std::int64_t least_elements = kRowSumElementsPerSm * sms.of(groups[i].tower);
    if (element_count(graph.values[static_cast<std::size_t>(rows)].type.shape) < least_elements) continue;
    const auto writer = writer_of.find(rows);
    if (writer == writer_of.end() || !leaves_rows(graph, groups[writer->second], rows)) continue;
    sharing.writers.emplace(*writer);
    sharing.readers.emplace(i, rows);
  }
  add_equals_of_writers(graph, groups, sharing);
  return sharing;
}

// Builds the graph anew, with a row_sums node behind each node whose rows want one.
class Insertion {
 public:
  explicit Insertion(const Graph& graph) : graph_(graph) { result_.graph = graph; }

  FusedGraph run(std::vector<FusedGroup> groups, const Sharing& sharing) {
    for (const auto& [rows, writer] : sharing.writers) sums_of_.emplace(rows, kNone);
    result_.graph.nodes.clear();
    for (std::size_t id = 0; id < graph_.nodes.size(); ++id) copy_node(static_cast<NodeId>(id));
    for (FusedGroup& group : groups)
      for (NodeId& id : group.nodes) id = moved_.at(static_cast<std::size_t>(id));
    result_.groups = std::move(groups);
    for (const auto& [rows, writer] : sharing.writers) add_to_writer(result_.groups[writer], sums_of_.at(rows));
    for (const auto& [reader, rows] : sharing.readers) add_to_reader(result_.groups[reader], sums_of_.at(rows));
    return std::move(result_);
  }

 private:
  NodeId append(Node node) {
    const auto id = static_cast<NodeId>(result_.graph.nodes.size());
    result_.graph.values[static_cast<std::size_t>(node.output)].producer = id;
    result_.graph.nodes.push_back(std::move(node));
    return id;
  }

  void copy_node(NodeId id) {
    const Node& node = node_of(graph_, id);
    moved_.push_back(append(node));
    const auto wanted = sums_of_.find(node.output);
    if (wanted == sums_of_.end()) return;
    Node sums;
    sums.name = graph_.values[static_cast<std::size_t>(node.output)].name + ".row_sums";
    sums.op = OpKind::row_sums;
    sums.inputs = {node.output};
    sums.line = node.line;
    sums.output = wanted->second = static_cast<ValueId>(result_.graph.values.size());
    result_.graph.values.push_back({.name = sums.name, .type = infer_type(result_.graph, sums), .producer = kNone});
    append(std::move(sums));
  }

  void add_to_writer(FusedGroup& writer, ValueId sums) {
    writer.nodes.push_back(result_.graph.values[static_cast<std::size_t>(sums)].producer);
    writer.outputs.push_back(sums);
  }

  void add_to_reader(FusedGroup& reader, ValueId sums) {
    for (const NodeId id : reader.nodes) {
      Node& node = result_.graph.nodes[static_cast<std::size_t>(id)];
      if (node.op == OpKind::layer_norm) node.inputs.push_back(sums);
    }
    reader.inputs.push_back(sums);
  }

  const Graph& graph_;
  FusedGraph result_;
  std::vector<NodeId> moved_;  // by node of graph_
  std::map<ValueId, ValueId> sums_of_;
};

}  // namespace

FusedGraph share_row_sums(const Graph& graph, std::vector<FusedGroup> groups, const TowerSms& sms) {
  const Sharing sharing = find_sharing(graph, groups, sms);
  return Insertion(graph).run(std::move(groups), sharing);
}

}  // namespace duet
