// The invariants of a Graph, checked after it is loaded and after every pass.
#pragma once

#include "codegen/graph.h"

namespace duet {

// Throws Error(internal) naming `pass`, the node and the broken invariant: topological order, unique names, each value
// with one producer, known outputs, types as inferred, weights of the right shape.
void verify_graph(const Graph& graph, std::string_view pass);

}  // namespace duet
