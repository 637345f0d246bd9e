// Carries out a plan's weight recipes into device memory.
#pragma once

#include <cstddef>
#include <vector>

#include "runtime/device.h"
#include "runtime/plan.h"
#include "runtime/weights.h"

namespace duet {

// `base` is the address of the weight space. Recipes run on several threads; `weights` is read by all of them. Throws
// what the first failing recipe throws (Error(input) for a tensor that is absent or does not fit).
void load_weights(Device& device, const Plan& plan, const WeightProvider& weights, DeviceAddress base);

// The same in host memory: the weight space as load_weights would leave it, zeros in between.
std::vector<std::byte> make_weight_space(const Plan& plan, const WeightProvider& weights);

}  // namespace duet
