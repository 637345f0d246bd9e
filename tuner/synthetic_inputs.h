// Random inputs and weights for a graph without data: what verification and timing run on.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/tensor.h"
#include "codegen/graph.h"
#include "runtime/generated_weights.h"

namespace duet {

// How many values an integer input may take, [0, limit): the vocabulary for token ids, 2 for masks, 0 where any value
// may stand (ids that are only compared).
std::int64_t input_value_limit(const Graph& graph, ValueId input);

// By input name, each rounded to the graph's type for it. Floating values are about N(0, 1) with one in 500 ten times
// as large, which is what activations of these encoders look like. Ids lie in the vocabulary and every row holds the
// end-of-text token that pooling looks for. Masks are ragged: a row attends to its first one or more positions.
std::map<std::string, HostTensor> synthetic_inputs(const Graph& graph, std::uint64_t seed);

// Random weights for every tensor that the graph reads, in the graph's precision. Throws Error(input) when two nodes
// expect different shapes of one tensor.
RandomWeights synthetic_weights(const Graph& graph, std::uint64_t seed);

}  // namespace duet
