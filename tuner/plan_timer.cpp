#include "tuner/plan_timer.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "base/error.h"
#include "base/log.h"
#include "runtime/weight_loading.h"
#include "tuner/elapsed.h"
#include "tuner/energy_measure.h"
#include "tuner/search/random_source.h"

namespace duet {
namespace {

constexpr int kSamplesPerRound = 20;

}  // namespace

PlanTimer::PlanTimer(Device& device, const Graph& graph, std::uint64_t seed, ThrottleWatch& watch)
    : device_(device),
      watch_(watch),
      weights_(synthetic_weights(graph, seed)),
      inputs_(synthetic_inputs(graph, seed)) {}

void PlanTimer::make_weights(const Plan& plan) {
  if (space_of_ == plan.weights) return;
  memory_.reset();
  weight_space_ = make_weight_space(plan, weights_);
  space_of_ = plan.weights;
}

PlanMemory& PlanTimer::shared_memory(const std::vector<Plan>& plans) {
  make_weights(plans.front());
  const auto held = [&](const Plan& plan) { return memory_->holds(plan); };
  if (memory_ && std::all_of(plans.begin(), plans.end(), held)) return *memory_;
  memory_.reset();
  Plan largest = plans.front();
  for (const Plan& plan : plans) {
    largest.arena_bytes = std::max(largest.arena_bytes, plan.arena_bytes);
    largest.counter_bytes = std::max(largest.counter_bytes, plan.counter_bytes);
  }
  PlanMemory& memory = memory_.emplace(device_, largest, 0);
  if (!weight_space_.empty()) device_.write(memory.address({.space = BufferSpace::weights}), weight_space_);
  return memory;
}

std::unique_ptr<Engine> PlanTimer::load(const Plan& plan, PlanMemory* memory) {
  if (memory == nullptr) {
    memory_.reset();  // a device may not hold the weights twice
    make_weights(plan);
  }
  auto engine =
      std::make_unique<Engine>(device_, plan, weights_, EngineOptions{.weight_space = weight_space_, .memory = memory});
  for (const auto& [name, tensor] : inputs_) engine->set_input(name, tensor);
  engine->time_us(1, CacheState::warm);  // the first is slow
  return engine;
}

Measurement PlanTimer::measure(const Plan& plan, const StoppingRule& rule) {
  const std::unique_ptr<Engine> engine = load(plan);
  MeasureOptions options;
  options.rule = rule;
  options.samples_per_round = kSamplesPerRound;
  return sample_until(
      [&](int count) { return watch_.steady([&] { return engine->time_us(count, CacheState::warm); }); }, options, 0);
}

// The counter is opened anew: a worker that was replaced since counts from another moment on.
std::optional<double> PlanTimer::energy_mj(const Plan& plan, double run_us, double seconds) {
  const std::unique_ptr<Engine> engine = load(plan);
  const std::unique_ptr<EnergyCounter> counter = device_.energy_counter();
  if (!counter) return std::nullopt;
  return measure_energy(*counter, [&](int count) { engine->run_queued(count); }, run_us,
                        {.seconds = seconds, .idle_seconds = 0})
      .energy_mj;
}

// Each has a buffer that flushes L2 (GraphTimer) beside the memory that all share.
std::size_t PlanTimer::plans_at_once(const Plan& plan) const {
  constexpr std::size_t kLeast = 2;
  const auto half = static_cast<std::uint64_t>(std::max<std::int64_t>(0, device_.info().memory_bytes)) / 2;
  const std::uint64_t shared = plan_memory_bytes(plan);
  const auto l2_bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(1, device_.info().fingerprint.l2_bytes));
  return std::max(kLeast, static_cast<std::size_t>(half > shared ? (half - shared) / (2 * l2_bytes) : 0));
}

// A fault may have taken a worker process, and with it all engines: whoever was at it is out, the others start again.
RaceResult PlanTimer::race(const std::vector<Plan>& plans, const RaceOptions& options,
                           const std::function<bool()>& go_on) {
  std::vector<bool> failed(plans.size(), false);
  while (true) {
    std::size_t at = 0;
    try {
      return race_once(plans, failed, options, go_on, at);
    } catch (const Error& error) {
      memory_.reset();  // it may be gone with a worker
      if (error.kind() != ErrorKind::device || failed[at]) throw;
      warn("a choice for the whole plan is left out: {}", error.what());
      last_failure_ = error.what();
      failed[at] = true;
    }
  }
}

// Another one for each race, so that where an engine's code lies favours none for good.
std::vector<std::size_t> PlanTimer::loading_order(std::size_t plans) {
  std::vector<std::size_t> order(plans);
  std::iota(order.begin(), order.end(), std::size_t{0});
  RandomSource random(races_++);
  random.shuffle(order);
  return order;
}

// `at`: the plan that the device was busy with, for whoever catches its error.
RaceResult PlanTimer::race_once(const std::vector<Plan>& plans, const std::vector<bool>& failed,
                                const RaceOptions& options, const std::function<bool()>& go_on, std::size_t& at) {
  const auto start = std::chrono::steady_clock::now();
  PlanMemory& memory = shared_memory(plans);
  std::vector<std::unique_ptr<Engine>> engines(plans.size());
  for (const std::size_t i : loading_order(plans.size())) {
    at = i;
    if (!failed[i]) engines[i] = load(plans[i], &memory);
  }
  log_at(2, "{} plans loaded in {:.0f} ms", plans.size(), 1e3 * seconds_since(start));
  const TakeRound take_round = [&](const std::vector<std::size_t>& order) {
    return watch_.steady([&] {
      std::vector<std::vector<double>> samples_us(plans.size());
      for (const std::size_t i : order) {
        at = i;
        if (engines[i]) samples_us[i] = engines[i]->time_us(options.samples_per_turn, CacheState::warm);
      }
      return samples_us;
    });
  };
  return race_by_rounds(plans.size(), take_round, options, go_on);
}

}  // namespace duet
