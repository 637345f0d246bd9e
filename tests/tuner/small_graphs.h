// Graphs of one or a few kernels, and a search space over them.
#pragma once

#include <filesystem>
#include <string>

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

inline SearchSpace quick_space() {
  return load_search_space(std::filesystem::path(DUET_SOURCE_DIR) / "schedules" / "quick.yaml");
}

// y = a + b on (4, 40): one pointwise kernel, which a fake device can compute.
inline Graph add_graph() {
  const TensorType type{.dtype = Dtype::f16, .shape = {4, 40}};
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

inline Lowering lower_fused(const Graph& graph, const FusionRules& rules = {}) {
  return lower(graph, fuse(graph, rules));
}

}  // namespace duet
