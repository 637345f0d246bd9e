// Fusion: which nodes become one kernel. Each rule is one named function and can be switched off; with all of them off
// every node is its own group, which is the baseline.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/graph.h"

namespace duet {

struct FusionRules {
  bool qkv = true;         // projections of one input that feed one attention become one product
  bool layer_norm = true;  // a layer norm whose only use is one product is folded into it
  bool epilogue = true;    // bias, activation and residual join the product before them
  bool attention = true;   // scores, scale, masks, softmax and values become one kernel
  bool patches = true;     // patch extraction joins the loads of the patch product
  bool embedding = true;   // token rows, class token, position and the first norm become one kernel
  bool head = true;        // pooling, norm, projection and normalisation become one kernel
  bool pointwise = true;   // element-wise ops left over are chained
  bool row_sums = true;    // what writes the rows of a folded layer norm also leaves their sums

  static FusionRules none();
  bool operator==(const FusionRules&) const = default;
};
std::vector<std::string_view> fusion_rule_names();
// Throws Error(usage) listing the rules when the name is unknown.
void set_fusion_rule(FusionRules& rules, std::string_view name, bool enabled);

struct FusedGroup {
  std::string name;              // "vision.layers.0.qkv"
  std::string tower;             // from find_towers
  std::vector<NodeId> nodes;     // topological order
  std::vector<ValueId> inputs;   // from outside the group, in order of first use
  std::vector<ValueId> outputs;  // used outside the group
  bool operator==(const FusedGroup&) const = default;
};

// Groups cover every node once and are in an order that respects dependencies. All rules but row_sums, which needs
// nodes that the graph does not have.
std::vector<FusedGroup> fuse(const Graph& graph, const FusionRules& rules);

// The graph with the nodes that rules add, and its groups.
struct FusedGraph {
  Graph graph;
  std::vector<FusedGroup> groups;
};
// How many SMs each tower's kernels run on: all of a device, unless a plan divides them.
struct TowerSms {
  int all = 0;
  std::map<std::string, int, std::less<>> of_tower{};  // of those that do not get all

  int of(std::string_view tower) const;
};
// All rules: fuse(), and then share_row_sums() where it is asked for.
FusedGraph fuse_graph(const Graph& graph, const FusionRules& rules, const TowerSms& sms);
FusedGraph fuse_graph(const Graph& graph, const FusionRules& rules, int sm_count);
// Its second half, which alone depends on the SMs. `groups`: of fuse().
FusedGraph fuse_graph(const Graph& graph, std::vector<FusedGroup> groups, const FusionRules& rules,
                      const TowerSms& sms);
// A row_sums node in every group that writes rows which another group normalises on their way into a product, and can
// add them up on their way out: a matrix product with its epilogue, or an embedding. Of at least kRowSumElementsPerSm
// for each SM of the tower: with fewer the products wait for memory and add up rows meanwhile, and their writers would
// be what is slower.
FusedGraph share_row_sums(const Graph& graph, std::vector<FusedGroup> groups, const TowerSms& sms);
// Of rows for each SM of a device. On an H100 (132 SMs) 74 thousand elements gained, 39 thousand lost
// (docs/performance.md).
inline constexpr std::int64_t kRowSumElementsPerSm = 512;

// A graph of one group alone: the group's inputs are its inputs. For verifying and timing one kernel.
Graph extract_group(const Graph& graph, const FusedGroup& group);

}  // namespace duet
