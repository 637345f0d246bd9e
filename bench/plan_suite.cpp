#include "bench/plan_suite.h"

#include <fmt/format.h>

#include "bench/ready_engine.h"

namespace duet {

std::vector<BenchCase> plan_cases(Device& device, const std::vector<Plan>& plans, const WeightProvider& weights,
                                  const std::map<std::string, HostTensor>& inputs, CacheState caches) {
  std::vector<BenchCase> cases;
  for (const Plan& plan : plans) {
    const std::shared_ptr<Engine> engine = ready_engine(device, plan, weights, inputs);
    cases.push_back(
        {.name = fmt::format("{}/b{}/{}/{}", plan.key.model, plan.key.batch, dtype_name(plan.key.precision),
                             plan.key.variant),
         .sample_us = [engine, caches] { return engine->time_us(1, caches).at(0); },
         .run_many = [engine](int count) { engine->run_queued(count); },
         .counters = {{"floor_us", plan.figures.floor_us}, {"steps", static_cast<double>(plan.steps.size())}}});
  }
  return cases;
}

}  // namespace duet
