// The reference: a graph evaluated on the CPU in fp32 (Eigen), against which every kernel and every plan is verified.
#pragma once

#include <map>
#include <string>

#include "base/weight_provider.h"
#include "codegen/graph.h"

namespace duet {

// Inputs by name (floating ones of any float dtype, ids and masks i32); results by output name, fp32, logical shapes.
// Nothing is rounded to the graph's precision, so results are those of the mathematics.
// Throws Error(input) when an input or weight is missing or has another shape.
std::map<std::string, HostTensor> evaluate(const Graph& graph, const std::map<std::string, HostTensor>& inputs,
                                           const WeightProvider& weights);

}  // namespace duet
