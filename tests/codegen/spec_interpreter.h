// Runs a lowering on the CPU by the formulas in templates/*_config.h, element by element in fp32: what the kernels must
// compute from their parameter blocks, without the kernels. Weights are those of the recipes, rounded as on the device.
#pragma once

#include <map>
#include <string>

#include "base/weight_provider.h"
#include "codegen/lower.h"

namespace duet::testing {

// Results by output name, logical shapes. Inputs as for evaluate().
std::map<std::string, HostTensor> interpret(const Graph& graph, const Lowering& lowering,
                                            const std::map<std::string, HostTensor>& inputs,
                                            const WeightProvider& weights);

}  // namespace duet::testing
