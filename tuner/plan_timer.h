// Times whole plans in the Engine that the product uses: one by itself, or several in turns.
//
//   PlanTimer timer(device, graph, seed, watch);
//   const RaceResult result = timer.race({plan, other}, {.tie = 0.004, .only_gains = true}, [] { return true; });
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "codegen/graph.h"
#include "runtime/engine.h"
#include "runtime/plan_memory.h"
#include "tuner/measure.h"
#include "tuner/race.h"
#include "tuner/repeatability.h"
#include "tuner/synthetic_inputs.h"

namespace duet {

class PlanTimer {
 public:
  // Weights and inputs are random, made once. All plans are of this graph. The references must outlive the timer.
  PlanTimer(Device& device, const Graph& graph, std::uint64_t seed, ThrottleWatch& watch);

  // Throws Error(device) when the device fails.
  Measurement measure(const Plan& plan, const StoppingRule& rule);
  // Whether runs give the same bits. Throws as measure() does.
  Repeatability repeat(const Plan& plan, int runs) { return check_repeatability(*load(plan), runs); }
  // Plans in order of preference; each stays loaded until the end, all in the same memory, so that where buffers lie
  // tells no plan from another. One over which the device fails is out, with a warning, and the others begin anew.
  RaceResult race(const std::vector<Plan>& plans, const RaceOptions& options, const std::function<bool()>& go_on);
  // Of a run, over so many seconds of them back to back; none where the device counts no energy. Throws as measure().
  std::optional<double> energy_mj(const Plan& plan, double run_us, double seconds);
  // How many plans of this size may race at once: in half of the device's memory, and at least 2.
  std::size_t plans_at_once(const Plan& plan) const;
  // Of the plan that failed last; empty when none did.
  const std::string& last_failure() const { return last_failure_; }

 private:
  std::unique_ptr<Engine> load(const Plan& plan, PlanMemory* memory = nullptr);
  void make_weights(const Plan& plan);
  // For these plans to share: what earlier ones had, where it is large enough.
  PlanMemory& shared_memory(const std::vector<Plan>& plans);
  std::vector<std::size_t> loading_order(std::size_t plans);
  RaceResult race_once(const std::vector<Plan>& plans, const std::vector<bool>& failed, const RaceOptions& options,
                       const std::function<bool()>& go_on, std::size_t& at);

  Device& device_;
  ThrottleWatch& watch_;
  RandomWeights weights_;
  std::map<std::string, HostTensor> inputs_;
  std::optional<std::vector<PlanWeight>> space_of_;  // the weights that weight_space_ was made for
  std::vector<std::byte> weight_space_;              // the same for all choices of kernels
  std::optional<PlanMemory> memory_;                 // with these weights
  std::uint64_t races_ = 0;
  std::string last_failure_;
};

}  // namespace duet
