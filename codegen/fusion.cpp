#include "codegen/fusion.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "codegen/fusion_passes.h"

namespace duet {
namespace {

struct RuleField {
  std::string_view name;
  bool FusionRules::*enabled;
};
constexpr RuleField kRules[] = {
    {"qkv", &FusionRules::qkv},           {"layer_norm", &FusionRules::layer_norm},
    {"epilogue", &FusionRules::epilogue}, {"attention", &FusionRules::attention},
    {"patches", &FusionRules::patches},   {"embedding", &FusionRules::embedding},
    {"head", &FusionRules::head},         {"pointwise", &FusionRules::pointwise},
    {"row_sums", &FusionRules::row_sums},
};

// Regions before products: a head or an embedding takes its norm and projection whole.
Partition partition_graph(const Graph& graph, const FusionRules& rules) {
  Partition partition(graph);
  if (rules.attention) fuse_attention(partition);
  if (rules.embedding) fuse_embedding(partition);
  if (rules.head) fuse_head(partition);
  if (rules.qkv) fuse_qkv(partition);
  if (rules.layer_norm) fold_layer_norm(partition);
  if (rules.epilogue) fuse_epilogue(partition);
  if (rules.patches) fuse_patches(partition);
  if (rules.pointwise) fuse_pointwise(partition);
  return partition;
}

// A group's values: those it reads from outside, and those that others need.
void find_boundary(const Partition& partition, FusedGroup& group) {
  const std::unordered_set<NodeId> inside(group.nodes.begin(), group.nodes.end());
  std::unordered_set<ValueId> read;
  for (const NodeId id : group.nodes) {
    const Node& node = partition.node(id);
    for (const ValueId input : node.inputs) {
      const bool from_outside = inside.count(partition.producer(input)) == 0;
      if (from_outside && read.insert(input).second) group.inputs.push_back(input);
    }
    const std::vector<NodeId>& uses = partition.uses(node.output);
    const bool needed = partition.is_output(node.output) || uses.empty() ||
                        std::any_of(uses.begin(), uses.end(), [&](NodeId user) { return inside.count(user) == 0; });
    if (needed) group.outputs.push_back(node.output);
  }
}

// Two groups may come out of one composite; the later one is numbered.
void make_names_unique(std::vector<FusedGroup>& groups) {
  std::unordered_set<std::string> taken;
  for (FusedGroup& group : groups) {
    const std::string wanted = group.name;
    for (int suffix = 2; !taken.insert(group.name).second; ++suffix) group.name = fmt::format("{}_{}", wanted, suffix);
  }
}

// A group spans towers when its nodes do: it belongs to the last of them, "joint".
std::string group_tower(const TowerMap& towers, const std::vector<NodeId>& nodes) {
  int tower = 0;
  for (const NodeId id : nodes) tower = std::max(tower, towers.of_node[static_cast<std::size_t>(id)]);
  return towers.names[static_cast<std::size_t>(tower)];
}

}  // namespace

bool is_activation(OpKind op) {
  return op == OpKind::gelu || op == OpKind::gelu_tanh || op == OpKind::quick_gelu || op == OpKind::silu;
}

bool is_element_wise(OpKind op) {
  return is_activation(op) || op == OpKind::bias_add || op == OpKind::add || op == OpKind::add_position ||
         op == OpKind::scale || op == OpKind::causal_mask || op == OpKind::padding_mask;
}

std::string_view parent_name(std::string_view name) { return name.substr(0, name.rfind('.')); }

std::string_view last_name(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? name : name.substr(dot + 1);
}

std::string composite_name(const Partition& partition, NodeId anchor, std::span<const NodeId> nodes) {
  const std::string& own = partition.node(anchor).name;
  const std::string_view parent = parent_name(own);
  if (parent == own) return own;
  const std::unordered_set<NodeId> inside(nodes.begin(), nodes.end());
  for (std::size_t i = 0; i < partition.graph().nodes.size(); ++i) {
    const std::string& name = partition.graph().nodes[i].name;
    const bool part = name.size() > parent.size() && name.starts_with(parent) && name[parent.size()] == '.';
    if (part && inside.count(static_cast<NodeId>(i)) == 0) return own;
  }
  return std::string(parent);
}

FusionRules FusionRules::none() {
  FusionRules rules;
  for (const RuleField& rule : kRules) rules.*rule.enabled = false;
  return rules;
}

std::vector<std::string_view> fusion_rule_names() {
  std::vector<std::string_view> names;
  for (const RuleField& rule : kRules) names.push_back(rule.name);
  return names;
}

void set_fusion_rule(FusionRules& rules, std::string_view name, bool enabled) {
  for (const RuleField& rule : kRules) {
    if (rule.name != name) continue;
    rules.*rule.enabled = enabled;
    return;
  }
  fail(ErrorKind::usage, "unknown fusion rule '{}': use one of {}", name, fmt::join(fusion_rule_names(), ", "));
}

std::vector<FusedGroup> fuse(const Graph& graph, const FusionRules& rules) {
  const Partition partition = partition_graph(graph, rules);
  const TowerMap towers = find_towers(graph);
  std::vector<FusedGroup> groups;
  for (const Partition::Part& part : partition.ordered()) {
    FusedGroup& group = groups.emplace_back();
    group.name = part.name;
    group.nodes = part.nodes;
    group.tower = group_tower(towers, part.nodes);
    find_boundary(partition, group);
  }
  make_names_unique(groups);
  return groups;
}

int TowerSms::of(std::string_view tower) const {
  const auto found = of_tower.find(tower);
  return found != of_tower.end() ? found->second : all;
}

FusedGraph fuse_graph(const Graph& graph, const FusionRules& rules, const TowerSms& sms) {
  return fuse_graph(graph, fuse(graph, rules), rules, sms);
}

FusedGraph fuse_graph(const Graph& graph, std::vector<FusedGroup> groups, const FusionRules& rules,
                      const TowerSms& sms) {
  if (!rules.row_sums) return {.graph = graph, .groups = std::move(groups)};
  return share_row_sums(graph, std::move(groups), sms);
}

FusedGraph fuse_graph(const Graph& graph, const FusionRules& rules, int sm_count) {
  return fuse_graph(graph, rules, TowerSms{.all = sm_count});
}

Graph extract_group(const Graph& graph, const FusedGroup& group) {
  Graph result;
  result.name = graph.name + "." + group.name;
  result.batch = graph.batch;
  result.precision = graph.precision;
  std::unordered_map<ValueId, ValueId> renumbered;
  const auto copy_value = [&](ValueId old, NodeId producer) {
    Value value = graph.values[static_cast<std::size_t>(old)];
    value.producer = producer;
    renumbered[old] = static_cast<ValueId>(result.values.size());
    result.values.push_back(std::move(value));
    return renumbered[old];
  };
  for (const ValueId input : group.inputs) result.inputs.push_back(copy_value(input, kNone));
  for (const NodeId id : group.nodes) {
    Node node = graph.nodes[static_cast<std::size_t>(id)];
    for (ValueId& input : node.inputs) input = renumbered.at(input);
    node.output = copy_value(node.output, static_cast<NodeId>(result.nodes.size()));
    result.nodes.push_back(std::move(node));
  }
  for (const ValueId output : group.outputs) result.outputs.push_back(renumbered.at(output));
  return result;
}

}  // namespace duet
