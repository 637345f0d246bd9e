#include "bench/ready_engine.h"

namespace duet {

std::unique_ptr<Engine> ready_engine(Device& device, const Plan& plan, const WeightProvider& weights,
                                     const std::map<std::string, HostTensor>& inputs, int warm_up_runs) {
  auto engine = std::make_unique<Engine>(device, plan, weights);
  for (const PlanTensor& input : plan.inputs) engine->set_input(input.name, inputs.at(input.name));
  for (int i = 0; i < warm_up_runs; ++i) engine->run();
  return engine;
}

}  // namespace duet
