#include "profile/timeline.h"

#include <algorithm>
#include <map>

namespace duet {

double Replay::span_us() const {
  double last_us = 0;
  for (const StepSlice& slice : slices) last_us = std::max(last_us, slice.end_us);
  return last_us;
}

std::vector<StreamCost> stream_costs(const Plan& plan, const Replay& replay) {
  std::vector<StreamCost> costs(plan.steps.size());
  std::map<int, double> ended_us;  // by stream: the latest end so far
  for (std::size_t i = 0; i < costs.size(); ++i) {
    const StepSlice& slice = replay.slices[i];
    const auto before = ended_us.try_emplace(plan.steps[i].stream, slice.start_us).first;
    costs[i] = {.exposed_us = std::max(0.0, slice.end_us - std::max(slice.start_us, before->second)),
                .gap_us = std::max(0.0, slice.start_us - before->second)};
    before->second = std::max(before->second, slice.end_us);
  }
  return costs;
}

const Replay& median_replay(std::span<const Replay> replays) {
  std::vector<std::size_t> order(replays.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto middle = order.begin() + static_cast<std::ptrdiff_t>((order.size() - 1) / 2);
  std::nth_element(order.begin(), middle, order.end(),
                   [&](std::size_t a, std::size_t b) { return replays[a].span_us() < replays[b].span_us(); });
  return replays[*middle];
}

std::vector<std::string> tower_names(const Plan& plan) {
  std::vector<std::string> names;
  for (const PlanStep& step : plan.steps) {
    if (std::find(names.begin(), names.end(), step.tower) == names.end()) names.push_back(step.tower);
  }
  return names;
}

}  // namespace duet
