#include "tuner/co_execution.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "codegen/step_schedule.h"

namespace duet {
namespace {

std::size_t tower_count(const Lowering& lowering) {
  std::set<std::string> towers;
  for (const LoweredGroup& group : lowering.groups)
    if (group.group.tower != "joint") towers.insert(group.group.tower);
  return towers.size();
}

// The steps of each stream, in order; streams by their first step.
std::vector<std::vector<int>> steps_of_streams(const Plan& plan) {
  std::vector<std::vector<int>> streams;
  std::map<int, std::size_t> place;
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const auto [found, inserted] = place.emplace(plan.steps[i].stream, streams.size());
    if (inserted) streams.emplace_back();
    streams[found->second].push_back(static_cast<int>(i));
  }
  return streams;
}

// Places one stream's next step after another, never before what it waits for.
class Placement {
 public:
  explicit Placement(const Plan& plan)
      : plan_(plan), streams_(steps_of_streams(plan)), next_(streams_.size()), placed_(plan.steps.size()) {}

  std::vector<int> run(LaunchOrder order) {
    while (steps_.size() < plan_.steps.size()) {
      const std::size_t stream = choose(order);
      const int step = streams_[stream][next_[stream]++];
      placed_[static_cast<std::size_t>(step)] = true;
      steps_.push_back(step);
    }
    return steps_;
  }

 private:
  bool ready(std::size_t stream) const {
    if (next_[stream] == streams_[stream].size()) return false;
    const PlanStep& step = plan_.steps[static_cast<std::size_t>(streams_[stream][next_[stream]])];
    return std::all_of(step.waits.begin(), step.waits.end(),
                       [&](int wait) { return placed_[static_cast<std::size_t>(wait)]; });
  }

  double progress(std::size_t stream) const {
    return static_cast<double>(next_[stream]) / static_cast<double>(streams_[stream].size());
  }

  // Some stream is ready always: the plan's own order is possible.
  std::size_t choose(LaunchOrder order) const {
    std::size_t best = streams_.size();
    for (std::size_t stream = 0; stream < streams_.size(); ++stream) {
      if (!ready(stream)) continue;
      const bool better = best == streams_.size() || order == LaunchOrder::reversed ||
                          (order == LaunchOrder::turns && progress(stream) < progress(best));
      if (better) best = stream;
    }
    if (best == streams_.size()) fail(ErrorKind::internal, "plan of '{}': its steps wait in a circle", plan_.key.model);
    return best;
  }

  const Plan& plan_;
  std::vector<std::vector<int>> streams_;
  std::vector<std::size_t> next_;  // by stream
  std::vector<bool> placed_;
  std::vector<int> steps_;
};

}  // namespace

StepOrder order_steps(const Lowering& lowering, ExecutionMode mode) {
  if (mode == ExecutionMode::sequential) return schedule_sequential(lowering);
  if (mode == ExecutionMode::partition && tower_count(lowering) == 2) return schedule_partition(lowering);
  return schedule_streams(lowering);
}

Plan with_launch_order(const Plan& plan, LaunchOrder order) {
  if (order == LaunchOrder::graph || plan.stream_count < 2) return plan;
  const std::vector<int> steps = Placement(plan).run(order);
  std::vector<int> renumbered(steps.size());
  for (std::size_t i = 0; i < steps.size(); ++i) renumbered[static_cast<std::size_t>(steps[i])] = static_cast<int>(i);
  const auto renumber = [&](std::vector<int>& numbers) {
    for (int& number : numbers) number = renumbered.at(static_cast<std::size_t>(number));
    std::sort(numbers.begin(), numbers.end());
  };
  Plan changed = plan;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    changed.steps[i] = plan.steps[static_cast<std::size_t>(steps[i])];
    renumber(changed.steps[i].waits);
  }
  for (KernelChoice& choice : changed.choices) renumber(choice.steps);
  validate_plan(changed);
  return changed;
}

Plan with_priority(const Plan& plan, int stream) {
  Plan changed = plan;
  changed.streams.resize(static_cast<std::size_t>(plan.stream_count));
  for (StreamShare& share : changed.streams) share.priority = 0;
  if (stream >= 0) changed.streams.at(static_cast<std::size_t>(stream)).priority = 1;
  const bool plain = std::all_of(changed.streams.begin(), changed.streams.end(),
                                 [](const StreamShare& share) { return share == StreamShare{}; });
  if (plain) changed.streams.clear();
  return changed;
}

}  // namespace duet
