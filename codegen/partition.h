// A partition of a graph's nodes into groups, as the fusion rules build it: they merge, and never divide.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "codegen/graph.h"

namespace duet {

// What a group is, so that a later rule leaves alone what an earlier one has finished.
enum class GroupKind { primitive, product, attention, embedding, head, pointwise };

class Partition {
 public:
  explicit Partition(const Graph& graph);

  const Graph& graph() const { return graph_; }
  const Node& node(NodeId id) const { return graph_.nodes[static_cast<std::size_t>(id)]; }
  // A value's consumers in graph order, each once; by table, not by search.
  const std::vector<NodeId>& uses(ValueId value) const { return uses_[static_cast<std::size_t>(value)]; }
  NodeId producer(ValueId value) const { return graph_.values[static_cast<std::size_t>(value)].producer; }
  bool is_output(ValueId value) const { return is_output_[static_cast<std::size_t>(value)]; }
  // The one node that needs this value, or kNone: several do, or none, or the caller of the graph.
  NodeId sole_user(ValueId value) const;
  // The one node that needs what `id` makes, if no rule has taken it yet and it is an `op`; else kNone.
  NodeId next(NodeId id, OpKind op) const;

  int group_of(NodeId id) const { return group_of_[static_cast<std::size_t>(id)]; }
  GroupKind kind(NodeId id) const { return groups_[static_cast<std::size_t>(group_of(id))].kind; }
  const std::string& name(NodeId id) const { return groups_[static_cast<std::size_t>(group_of(id))].name; }
  const std::vector<NodeId>& members(NodeId id) const { return groups_[static_cast<std::size_t>(group_of(id))].nodes; }
  bool is_primitive(NodeId id) const { return kind(id) == GroupKind::primitive; }

  // Unites the groups of these nodes. Returns false, changing nothing, when a path between two of them passes through
  // a node outside: the groups would depend on each other.
  bool merge(std::span<const NodeId> nodes, GroupKind kind, const std::string& name);

  // The groups' nodes in dependency order, ties in graph order, with their names.
  struct Part {
    std::string name;
    std::vector<NodeId> nodes;
  };
  std::vector<Part> ordered() const;

 private:
  struct Group {
    std::string name;
    GroupKind kind = GroupKind::primitive;
    std::vector<NodeId> nodes;  // ascending: graph order is topological
  };
  bool would_cycle(const std::vector<bool>& inside, NodeId first, NodeId last) const;

  const Graph& graph_;
  std::vector<std::vector<NodeId>> uses_;  // by value
  std::vector<bool> is_output_;            // by value
  std::vector<int> group_of_;              // by node
  std::vector<Group> groups_;              // emptied when merged into another
};

}  // namespace duet
