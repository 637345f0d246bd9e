// One tower of a graph as a graph of its own.
#pragma once

#include <string_view>

#include "codegen/graph.h"

namespace duet {

// The tower `name` of find_towers(graph), and what it needs; named "clip-vit-b32.vision". Its outputs are the graph's
// that it makes, and what other towers and the joint part take from it. Throws Error(usage) naming the towers there
// are.
Graph keep_tower(const Graph& graph, std::string_view name);

}  // namespace duet
