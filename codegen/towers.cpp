// find_towers: which nodes can run beside which others, from what they depend on.
//
// A node that needs one input alone belongs to that input's tower. Two inputs share a tower when a node that needs both
// has the name prefix of nodes that need either alone; an input without a node of its own (an attention mask) joins the
// tower it is first used in. What needs more than one tower is joint.
#include <algorithm>
#include <numeric>
#include <set>
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
    find_own_prefixes();
    join_inputs_of_one_section();
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

  // The one input that a node needs, or the number of inputs when it needs several or none.
  std::size_t only_input(const InputSet& set) const {
    if (std::count(set.begin(), set.end(), true) != 1) return set.size();
    return static_cast<std::size_t>(std::find(set.begin(), set.end(), true) - set.begin());
  }

  void find_own_prefixes() {
    own_prefixes_.resize(graph_.inputs.size());
    for (std::size_t node = 0; node < depends_.size(); ++node) {
      const std::size_t input = only_input(depends_[node]);
      if (input < own_prefixes_.size()) own_prefixes_[input].insert(first_component(graph_.nodes[node].name));
    }
  }

  // Token ids and token types are two inputs of one tower: "text.sum" adds what "text.ids" and "text.types" made.
  void join_inputs_of_one_section() {
    for (std::size_t node = 0; node < depends_.size(); ++node) {
      const std::string prefix = first_component(graph_.nodes[node].name);
      std::size_t first = graph_.inputs.size();
      for (std::size_t input = 0; input < graph_.inputs.size(); ++input) {
        if (!depends_[node][input] || own_prefixes_[input].count(prefix) == 0) continue;
        if (first == graph_.inputs.size()) first = input;
        join(first, input);
      }
    }
  }

  // Nodes come in topological order, so the first one to use such an input depends on the fewest others.
  void join_inputs_without_own_nodes() {
    InputSet decided;
    for (const auto& prefixes : own_prefixes_) decided.push_back(!prefixes.empty());
    for (const InputSet& set : depends_) {
      for (std::size_t input = 0; input < set.size(); ++input) {
        if (!set[input] || decided[input]) continue;
        InputSet others = set;
        others[input] = false;
        const std::vector<std::size_t> groups = roots(others);
        if (groups.size() == 1) join(groups.front(), input);
        decided[input] = true;
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
  std::vector<std::size_t> parent_;                  // union-find over the inputs
  std::vector<InputSet> depends_;                    // by node
  std::vector<std::set<std::string>> own_prefixes_;  // by input: of the nodes that need this input alone
};

}  // namespace

TowerMap find_towers(const Graph& graph) { return TowerFinder(graph).run(); }

}  // namespace duet
