// find_towers: which nodes can run beside which others, from what they depend on.
//
// A node that needs one input alone belongs to that input's tower. Inputs whose nodes share a name prefix, and inputs
// that have no node of their own (an attention mask), join the tower of the inputs they are first used with. What needs
// more than one tower is joint.
#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "codegen/graph.h"

namespace duet {
namespace {

using InputSet = std::vector<bool>;  // by position in Graph::inputs

std::string first_component(const std::string& name) { return name.substr(0, name.find('.')); }

class TowerFinder {
 public:
  explicit TowerFinder(const Graph& graph) : graph_(graph), parent_(graph.inputs.size()) {
    std::iota(parent_.begin(), parent_.end(), std::size_t{0});
    find_dependencies();
    join_inputs_by_prefix();
    join_inputs_without_own_nodes();
  }

  TowerMap run() {
    std::vector<int> group(graph_.nodes.size());
    for (std::size_t node = 0; node < group.size(); ++node) group[node] = group_of(depends_[node]);
    adopt_sources(group);
    return name_groups(group);
  }

 private:
  static constexpr int kJoint = -1;
  static constexpr int kSource = -2;  // depends on no input: a learned token

  void find_dependencies() {
    std::vector<InputSet> of_value(graph_.values.size(), InputSet(graph_.inputs.size()));
    for (std::size_t i = 0; i < graph_.inputs.size(); ++i)
      of_value[static_cast<std::size_t>(graph_.inputs[i])][i] = true;
    for (const Node& node : graph_.nodes) {
      InputSet& set = of_value[static_cast<std::size_t>(node.output)];
      for (const ValueId input : node.inputs) {
        const InputSet& needed = of_value[static_cast<std::size_t>(input)];
        for (std::size_t i = 0; i < set.size(); ++i) set[i] = set[i] || needed[i];
      }
      depends_.push_back(set);
    }
  }

  std::size_t root(std::size_t input) const {
    while (parent_[input] != input) input = parent_[input];
    return input;
  }
  void join(std::size_t a, std::size_t b) { parent_[std::max(root(a), root(b))] = std::min(root(a), root(b)); }

  // The distinct groups of inputs in a set.
  std::vector<std::size_t> roots(const InputSet& set) const {
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < set.size(); ++i)
      if (set[i] && std::find(found.begin(), found.end(), root(i)) == found.end()) found.push_back(root(i));
    return found;
  }

  void join_inputs_by_prefix() {
    std::vector<std::pair<std::string, std::size_t>> owners;
    has_own_nodes_.assign(graph_.inputs.size(), false);
    for (std::size_t node = 0; node < depends_.size(); ++node) {
      if (std::count(depends_[node].begin(), depends_[node].end(), true) != 1) continue;
      const auto found = std::find(depends_[node].begin(), depends_[node].end(), true);
      const auto input = static_cast<std::size_t>(found - depends_[node].begin());
      has_own_nodes_[input] = true;
      const std::string prefix = first_component(graph_.nodes[node].name);
      const auto owner = std::find_if(owners.begin(), owners.end(), [&](const auto& o) { return o.first == prefix; });
      if (owner == owners.end())
        owners.emplace_back(prefix, input);
      else
        join(owner->second, input);
    }
  }

  // Nodes come in topological order, so the first one to use such an input depends on the fewest others.
  void join_inputs_without_own_nodes() {
    for (const InputSet& set : depends_) {
      for (std::size_t input = 0; input < set.size(); ++input) {
        if (!set[input] || has_own_nodes_[input]) continue;
        InputSet others = set;
        others[input] = false;
        const std::vector<std::size_t> groups = roots(others);
        if (groups.size() == 1) join(groups.front(), input);
        has_own_nodes_[input] = true;  // decided
      }
    }
  }

  int group_of(const InputSet& set) const {
    const std::vector<std::size_t> groups = roots(set);
    if (groups.empty()) return kSource;
    return groups.size() == 1 ? static_cast<int>(groups.front()) : kJoint;
  }

  // A node without inputs belongs where it is first used.
  void adopt_sources(std::vector<int>& group) const {
    std::vector<int> first_use(graph_.values.size(), kSource);
    for (std::size_t node = graph_.nodes.size(); node-- > 0;) {
      int& own = group[node];
      if (own == kSource) own = first_use[static_cast<std::size_t>(graph_.nodes[node].output)];
      for (const ValueId input : graph_.nodes[node].inputs) first_use[static_cast<std::size_t>(input)] = own;
    }
    for (int& own : group)
      if (own == kSource) own = static_cast<int>(graph_.inputs.size());  // a part without any input
  }

  TowerMap name_groups(const std::vector<int>& group) const {
    TowerMap towers;
    towers.of_node.assign(group.size(), kJoint);
    std::vector<int> known;  // the group of each name
    for (std::size_t node = 0; node < group.size(); ++node) {
      if (group[node] == kJoint) continue;
      const auto found = std::find(known.begin(), known.end(), group[node]);
      towers.of_node[node] = static_cast<int>(found - known.begin());
      if (found != known.end()) continue;
      known.push_back(group[node]);
      towers.names.push_back(unused_name(towers.names, first_component(graph_.nodes[node].name)));
    }
    const bool any_joint = std::count(group.begin(), group.end(), kJoint) > 0;
    for (int& tower : towers.of_node)
      if (tower == kJoint) tower = static_cast<int>(towers.names.size());
    if (any_joint) towers.names.push_back("joint");
    return towers;
  }

  static std::string unused_name(const std::vector<std::string>& names, const std::string& wanted) {
    std::string name = wanted;
    for (int suffix = 2; std::find(names.begin(), names.end(), name) != names.end(); ++suffix)
      name = wanted + std::to_string(suffix);
    return name;
  }

  const Graph& graph_;
  std::vector<std::size_t> parent_;  // union-find over the inputs
  std::vector<InputSet> depends_;    // by node
  std::vector<bool> has_own_nodes_;
};

}  // namespace

TowerMap find_towers(const Graph& graph) { return TowerFinder(graph).run(); }

}  // namespace duet
