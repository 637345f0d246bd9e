// A graph of one node, for testing what a single primitive does.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "codegen/graph.h"
#include "codegen/ops.h"

namespace duet::testing {

inline WeightRef whole_weight(std::string role, Shape shape) {
  const std::int64_t rows = shape.empty() ? 1 : shape.front();
  WeightSource source{.tensor = role, .shape = std::move(shape), .row_end = rows};
  return {.role = std::move(role), .source = std::move(source)};
}

// Inputs "in0", "in1" ...; the result is "out". The result's type is inferred unless `infer` is false.
inline Graph node_graph(OpKind op, const std::vector<TensorType>& inputs, std::vector<WeightRef> weights = {},
                        const Attributes& attributes = {}, bool infer = true) {
  Graph graph;
  graph.name = "node";
  Node node;
  node.name = "node";
  node.op = op;
  for (const TensorType& type : inputs) {
    const auto id = static_cast<ValueId>(graph.values.size());
    graph.values.push_back({.name = "in" + std::to_string(id), .type = type});
    graph.inputs.push_back(id);
    node.inputs.push_back(id);
  }
  node.weights = std::move(weights);
  node.attributes = attributes;
  node.output = static_cast<ValueId>(graph.values.size());
  const TensorType type = infer ? infer_type(graph, node) : TensorType{};
  graph.values.push_back({.name = "out", .type = type, .producer = 0});
  graph.outputs.push_back(node.output);
  graph.nodes.push_back(std::move(node));
  return graph;
}

}  // namespace duet::testing
