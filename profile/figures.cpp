#include "profile/figures.h"

#include <algorithm>
#include <map>
#include <utility>

namespace duet {
namespace {

std::vector<TimeSpan> running_times(const Plan& plan, const Replay& replay, const std::string& tower) {
  std::vector<TimeSpan> times;
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    if (plan.steps[i].tower != tower) continue;
    times.push_back({.begin_us = replay.slices[i].start_us, .end_us = replay.slices[i].end_us});
  }
  return merge(std::move(times));
}

TowerFigures tower_figures(const Plan& plan, const Replay& replay, const std::string& tower) {
  TowerFigures figures{.tower = tower};
  for (const PlanStep& step : plan.steps) {
    if (step.tower != tower) continue;
    ++figures.kernels;
    figures.floor_us += step.floor_us;
  }
  const std::vector<TimeSpan> running = running_times(plan, replay, tower);
  figures.busy_us = total_us(running);
  if (!running.empty()) {
    figures.start_us = running.front().begin_us;
    figures.span_us = running.back().end_us - running.front().begin_us;
  }
  figures.idle_us = figures.span_us - figures.busy_us;
  return figures;
}

using KernelKey = std::pair<std::string, std::string>;  // name without numbers, entry

KernelKey key_of(const Plan& plan, const PlanStep& step) {
  return {without_numbers(step.name), kernel_of(plan, step).entry};
}

// Sums over the steps of all replays.
void add_replay(const Plan& plan, const Replay& replay, std::map<KernelKey, KernelFigures>& sums) {
  const std::vector<StreamCost> costs = stream_costs(plan, replay);
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    KernelFigures& sum = sums[key_of(plan, plan.steps[i])];
    ++sum.count;
    sum.mean_us += replay.slices[i].duration_us();
    sum.exposed_us += costs[i].exposed_us;
    sum.gap_us += costs[i].gap_us;
    sum.floor_us += plan.steps[i].floor_us;
  }
}

KernelFigures to_means(const KernelKey& key, const KernelFigures& sum, std::size_t replays) {
  const double times = sum.count;
  KernelFigures means{.name = key.first, .entry = key.second};
  means.count = sum.count / static_cast<int>(replays);
  means.total_us = sum.exposed_us / static_cast<double>(replays);
  means.mean_us = sum.mean_us / times;
  means.exposed_us = sum.exposed_us / times;
  means.gap_us = sum.gap_us / times;
  means.floor_us = sum.floor_us / times;
  means.ratio = means.floor_us > 0 ? means.exposed_us / means.floor_us : 0;
  return means;
}

std::vector<KernelFigures> kernel_figures(const Plan& plan, std::span<const Replay> replays) {
  std::map<KernelKey, KernelFigures> sums;
  for (const Replay& replay : replays) add_replay(plan, replay, sums);
  std::vector<KernelFigures> kernels;
  for (const auto& [key, sum] : sums) kernels.push_back(to_means(key, sum, replays.size()));
  std::stable_sort(kernels.begin(), kernels.end(),
                   [](const KernelFigures& a, const KernelFigures& b) { return a.total_us > b.total_us; });
  return kernels;
}

bool is_number(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

std::string without_numbers(const std::string& step_name) {
  std::string out;
  for (std::size_t begin = 0; begin <= step_name.size();) {
    const std::size_t end = std::min(step_name.find('.', begin), step_name.size());
    const std::string part = step_name.substr(begin, end - begin);
    out += (begin == 0 ? "" : ".") + (is_number(part) ? "*" : part);
    begin = end + 1;
  }
  return out;
}

std::vector<Level> towers_running(const Plan& plan, const Replay& replay) {
  std::vector<std::vector<TimeSpan>> towers;
  for (const std::string& tower : tower_names(plan)) towers.push_back(running_times(plan, replay, tower));
  return count_running(towers);
}

ProfileFigures compute_figures(const Plan& plan, std::span<const Replay> replays) {
  const Replay& median = median_replay(replays);
  const std::vector<Level> levels = towers_running(plan, median);
  ProfileFigures figures;
  figures.span_us = median.span_us();
  figures.busy_us = time_at_least_us(levels, 1);
  figures.overlap_us = time_at_least_us(levels, 2);
  for (const std::string& tower : tower_names(plan)) figures.towers.push_back(tower_figures(plan, median, tower));
  for (const Replay& replay : replays) figures.span_us_samples.push_back(replay.span_us());
  figures.kernels = kernel_figures(plan, replays);
  return figures;
}

}  // namespace duet
