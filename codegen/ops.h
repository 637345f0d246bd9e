// The op table: arity, weights, shape rule, floating-point operations and bytes of every primitive.
#pragma once

#include <string>
#include <vector>

#include "codegen/graph.h"

namespace duet {

// The type of a node's result, from its inputs' types, weights and attributes.
// Throws Error(input), without file and line, when they do not fit.
TensorType infer_type(const Graph& graph, const Node& node);

// A multiply-add counts as two operations; transcendental functions count as one.
double node_flops(const Graph& graph, const Node& node);
// Bytes of weights a node reads once, in the graph's precision (f32 for bias, gamma, beta).
double node_weight_bytes(const Graph& graph, const Node& node);
double value_bytes(const Graph& graph, ValueId value);

}  // namespace duet
