#include "codegen/keep_tower.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "codegen/fusion.h"
#include "codegen/verify.h"

namespace duet {
namespace {

constexpr std::string_view kJoint = "joint";

int find_tower(const Graph& graph, const TowerMap& towers, std::string_view name) {
  std::vector<std::string> separate;
  for (const std::string& tower : towers.names)
    if (tower != kJoint) separate.push_back(tower);
  if (std::find(separate.begin(), separate.end(), name) == separate.end())
    fail(ErrorKind::usage, "'{}' has no tower '{}' that runs alone; it has {}", graph.name, name,
         fmt::join(separate, ", "));
  return static_cast<int>(std::find(towers.names.begin(), towers.names.end(), name) - towers.names.begin());
}

// By node: of the tower, or needed by one that is. Nodes are in topological order.
std::vector<bool> needed_nodes(const Graph& graph, const TowerMap& towers, int tower) {
  std::vector<bool> needed(graph.nodes.size());
  for (std::size_t node = graph.nodes.size(); node-- > 0;) {
    needed[node] = needed[node] || towers.of_node[node] == tower;
    if (!needed[node]) continue;
    for (const ValueId input : graph.nodes[node].inputs) {
      const NodeId producer = graph.values[static_cast<std::size_t>(input)].producer;
      if (producer != kNone) needed[static_cast<std::size_t>(producer)] = true;
    }
  }
  return needed;
}

bool contains(const std::vector<ValueId>& values, ValueId value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

std::vector<ValueId> used_inputs(const Graph& graph, const std::vector<bool>& kept) {
  std::vector<ValueId> used;
  for (const ValueId input : graph.inputs) {
    const std::vector<NodeId> users = consumers(graph, input);
    if (std::any_of(users.begin(), users.end(), [&](NodeId user) { return kept[static_cast<std::size_t>(user)]; }))
      used.push_back(input);
  }
  return used;
}

std::vector<ValueId> tower_outputs(const Graph& graph, const TowerMap& towers, int tower) {
  std::vector<ValueId> outputs;
  for (std::size_t node = 0; node < graph.nodes.size(); ++node) {
    if (towers.of_node[node] != tower) continue;
    const ValueId value = graph.nodes[node].output;
    const std::vector<NodeId> users = consumers(graph, value);
    const bool leaves = std::any_of(users.begin(), users.end(), [&](NodeId user) {
      return towers.of_node[static_cast<std::size_t>(user)] != tower;
    });
    if (leaves || contains(graph.outputs, value)) outputs.push_back(value);
  }
  return outputs;
}

}  // namespace

Graph keep_tower(const Graph& graph, std::string_view name) {
  const TowerMap towers = find_towers(graph);
  const int tower = find_tower(graph, towers, name);
  const std::vector<bool> kept = needed_nodes(graph, towers, tower);
  FusedGroup part{.name = std::string(name), .tower = std::string(name), .nodes = {}, .inputs = {}, .outputs = {}};
  for (std::size_t node = 0; node < kept.size(); ++node)
    if (kept[node]) part.nodes.push_back(static_cast<NodeId>(node));
  part.inputs = used_inputs(graph, kept);
  part.outputs = tower_outputs(graph, towers, tower);
  Graph alone = extract_group(graph, part);
  verify_graph(alone, "keep_tower");
  return alone;
}

}  // namespace duet
