// Benchmark cases of whole plans on an Engine.
#pragma once

#include <memory>

#include "base/weight_provider.h"
#include "bench/suite.h"
#include "runtime/device.h"
#include "runtime/engine.h"

namespace duet {

// One case per plan: whole replays with caches as given. The engines live as long as the cases.
std::vector<BenchCase> plan_cases(Device& device, const std::vector<Plan>& plans, const WeightProvider& weights,
                                  const std::map<std::string, HostTensor>& inputs, CacheState caches);

}  // namespace duet
