// An engine whose next run is one like those that follow.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/tensor.h"
#include "base/weight_provider.h"
#include "runtime/engine.h"

namespace duet {

inline constexpr int kWarmUpRuns = 20;

// `inputs` holds each of the plan's, and may hold more.
std::unique_ptr<Engine> ready_engine(Device& device, const Plan& plan, const WeightProvider& weights,
                                     const std::map<std::string, HostTensor>& inputs, int warm_up_runs = kWarmUpRuns);

}  // namespace duet
