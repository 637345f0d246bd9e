// Graphs of one or a few kernels, and a search space over them.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "codegen/candidate.h"
#include "codegen/fusion.h"
#include "codegen/graph_yaml.h"
#include "codegen/lower.h"
#include "codegen/schedule.h"
#include "tuner/kernel_problem.h"

namespace duet {

inline Graph tiny_dual(Dtype precision = Dtype::f16, int batch = 2) {
  return load_graph(std::filesystem::path(DUET_SOURCE_DIR) / "graphs" / "tiny-dual.yaml",
                    {.batch = batch, .precision = precision});
}

// A few candidates of every family that fit the towers of tiny-dual.
inline SearchSpace small_space() {
  SearchSpace space;
  space.name = "small";
  space.ranges["gemm"] = {{"block_m", {16, 32}}, {"block_n", {16, 32}}, {"block_k", {32}},  {"warps_m", {1, 2}},
                          {"warps_n", {1, 2}},   {"stages", {2, 3}},    {"split_k", {1, 2}}};
  space.ranges["attention"] = {{"warps", {1, 2}}, {"block_kv", {16, 32}}, {"stages", {2}}};
  space.ranges["norm"] = {{"warps_per_row", {1}}, {"rows_per_block", {1, 2, 4}}, {"cached_vectors", {4}}};
  space.ranges["pointwise"] = {{"threads", {64, 128}}, {"vectors_per_thread", {1, 2}}};
  space.ranges["embedding"] = {{"warps_per_row", {1}}, {"rows_per_block", {1, 2}}, {"cached_vectors", {4}}};
  space.ranges["head"] = {{"warps", {4, 8}}, {"columns_per_block", {HeadTile{}.columns_per_block, 16}}};
  space.ranges["similarity"] = {{"warps", {1, 2, 4}}};
  return space;
}

// y = a + b on (4, columns): one pointwise kernel, which a fake device can compute.
inline Graph add_graph(int columns = 40) {
  const TensorType type{.dtype = Dtype::f16, .shape = {4, columns}};
  Graph graph;
  graph.name = "add-two";
  graph.values = {{.name = "a", .type = type}, {.name = "b", .type = type}, {.name = "y", .type = type, .producer = 0}};
  Node node;
  node.name = "main.add";
  node.op = OpKind::add;
  node.inputs = {0, 1};
  node.output = 2;
  graph.nodes = {node};
  graph.inputs = {0, 1};
  graph.outputs = {2};
  return graph;
}

// The same on (4, 40), and z = c + d on (4, 8): two problems of one family, whose kernels have the same entries.
inline Graph two_adds_graph() {
  const TensorType type{.dtype = Dtype::f16, .shape = {4, 8}};
  Graph graph = add_graph();
  graph.name = "two-adds";
  for (const char* name : {"c", "d", "z"}) graph.values.push_back({.name = name, .type = type});
  graph.values.back().producer = 1;
  Node node;
  node.name = "main.add_less";
  node.op = OpKind::add;
  node.inputs = {3, 4};
  node.output = 5;
  graph.nodes.push_back(node);
  graph.inputs = {0, 1, 3, 4};
  graph.outputs = {2, 5};
  return graph;
}

// Of each group, the first candidate that can run.
inline std::vector<KernelCandidate> first_feasible(const Lowering& lowering, const SearchSpace& space,
                                                   const DeviceSpec& device) {
  std::vector<KernelCandidate> first;
  for (const LoweredGroup& group : lowering.groups) {
    for (KernelCandidate& candidate : enumerate_candidates(group.spec, space, device)) {
      if (!candidate.infeasible.empty()) continue;
      first.push_back(std::move(candidate));
      break;
    }
  }
  return first;
}

inline Lowering lower_fused(const Graph& graph, const FusionRules& rules = {}) {
  return lower(graph, fuse(graph, rules));
}

}  // namespace duet
