#include "codegen/partition.h"

#include <algorithm>
#include <functional>
#include <queue>

#include "base/error.h"

namespace duet {

Partition::Partition(const Graph& graph)
    : graph_(graph), uses_(graph.values.size()), is_output_(graph.values.size()), group_of_(graph.nodes.size()) {
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const auto id = static_cast<NodeId>(i);
    for (const ValueId input : graph.nodes[i].inputs) {
      std::vector<NodeId>& uses = uses_[static_cast<std::size_t>(input)];
      if (uses.empty() || uses.back() != id) uses.push_back(id);
    }
    group_of_[i] = id;
    groups_.push_back({graph.nodes[i].name, GroupKind::primitive, {id}});
  }
  for (const ValueId output : graph.outputs) is_output_[static_cast<std::size_t>(output)] = true;
}

NodeId Partition::sole_user(ValueId value) const {
  return uses(value).size() == 1 && !is_output(value) ? uses(value).front() : kNone;
}

NodeId Partition::next(NodeId id, OpKind op) const {
  const NodeId user = sole_user(node(id).output);
  return user != kNone && is_primitive(user) && node(user).op == op ? user : kNone;
}

// Whether a path leaves the marked nodes and comes back. Groups made before are entered and left as one.
bool Partition::would_cycle(const std::vector<bool>& inside, NodeId first, NodeId last) const {
  std::vector<bool> reached(groups_.size());  // groups outside, downstream of the marked nodes
  std::vector<NodeId> pending;
  const auto follow = [&](NodeId from) {
    for (const NodeId user : uses(node(from).output)) {
      const auto group = static_cast<std::size_t>(group_of(user));
      if (inside[static_cast<std::size_t>(user)] || reached[group]) continue;
      reached[group] = true;
      pending.insert(pending.end(), groups_[group].nodes.begin(), groups_[group].nodes.end());
    }
  };
  for (NodeId id = first; id <= last; ++id)
    if (inside[static_cast<std::size_t>(id)]) follow(id);
  while (!pending.empty()) {
    const NodeId id = pending.back();
    pending.pop_back();
    for (const NodeId user : uses(node(id).output))
      if (inside[static_cast<std::size_t>(user)]) return true;
    follow(id);
  }
  return false;
}

bool Partition::merge(std::span<const NodeId> nodes, GroupKind kind, const std::string& name) {
  std::vector<NodeId> all;
  std::vector<bool> inside(graph_.nodes.size());
  for (const NodeId id : nodes) {
    for (const NodeId member : members(id)) {
      if (inside[static_cast<std::size_t>(member)]) continue;
      inside[static_cast<std::size_t>(member)] = true;
      all.push_back(member);
    }
  }
  std::sort(all.begin(), all.end());
  if (would_cycle(inside, all.front(), all.back())) return false;
  for (const NodeId id : all) groups_[static_cast<std::size_t>(group_of(id))].nodes.clear();
  const int target = all.front();
  for (const NodeId id : all) group_of_[static_cast<std::size_t>(id)] = target;
  groups_[static_cast<std::size_t>(target)] = {name, kind, std::move(all)};
  return true;
}

std::vector<Partition::Part> Partition::ordered() const {
  // The producers a group waits for, counted once per (producer, use).
  std::vector<int> waiting(groups_.size());
  for (std::size_t value = 0; value < uses_.size(); ++value) {
    const NodeId maker = producer(static_cast<ValueId>(value));
    if (maker == kNone) continue;
    for (const NodeId user : uses_[value])
      if (group_of(user) != group_of(maker)) ++waiting[static_cast<std::size_t>(group_of(user))];
  }
  // Ready groups by their last node: a group starts where its last member stood in the graph.
  using Entry = std::pair<NodeId, std::size_t>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> ready;
  for (std::size_t i = 0; i < groups_.size(); ++i)
    if (!groups_[i].nodes.empty() && waiting[i] == 0) ready.emplace(groups_[i].nodes.back(), i);
  std::vector<Part> parts;
  std::size_t node_count = 0;
  while (!ready.empty()) {
    const Group& group = groups_[ready.top().second];
    ready.pop();
    parts.push_back({group.name, group.nodes});
    node_count += group.nodes.size();
    for (const NodeId id : group.nodes) {
      for (const NodeId user : uses(node(id).output)) {
        const auto other = static_cast<std::size_t>(group_of(user));
        if (group_of(user) != group_of(id) && --waiting[other] == 0) ready.emplace(groups_[other].nodes.back(), other);
      }
    }
  }
  if (node_count != graph_.nodes.size())
    fail(ErrorKind::internal, "graph '{}': the fused groups depend on each other", graph_.name);
  return parts;
}

}  // namespace duet
