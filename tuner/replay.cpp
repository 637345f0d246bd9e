#include "tuner/replay.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "tuner/elapsed.h"
#include "tuner/gain_rule.h"
#include "tuner/search/neighbourhood.h"
#include "tuner/stats.h"

namespace duet {
namespace {

double best_of(const ReplayTrace& trace, std::size_t trials) {
  double best = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < std::min(trials, trace.size()); ++i)
    best = std::min(best, trace[i].time_ms.value_or(best));
  return best;
}

}  // namespace

ReplayTrace replay_once(const ReplayedSpace& space, double budget_s, std::string_view strategy_name, std::uint64_t seed,
                        double min_gain) {
  constexpr double kUsPerMs = 1000;
  GainRule rule(min_gain);
  std::optional<Neighbourhood> around;
  if (min_gain > 0) around.emplace(space.points);
  bool ending = false;
  const std::unique_ptr<SearchStrategy> strategy = make_strategy(strategy_name, space.points, seed);
  ReplayTrace trace;
  double elapsed_s = 0;
  while (elapsed_s < budget_s) {
    ending = ending || rule.ends();
    const std::optional<std::size_t> index = ending ? around->propose() : strategy->propose();
    if (!index) break;
    const double time_ms = space.time_ms[*index];
    elapsed_s += space.cost_s[*index];
    trace.push_back({.time_ms = time_ms > 0 ? std::optional(time_ms) : std::nullopt, .cost_s = space.cost_s[*index]});
    const SearchResult result{.valid = time_ms > 0, .time_us = time_ms * kUsPerMs};
    strategy->report(*index, result);
    rule.report(result);
    if (around) around->report(*index, result);
  }
  return trace;
}

std::optional<ReplayResult> replay(const ReplayedSpace& space, std::string_view strategy, int repeats,
                                   std::uint64_t seed, const std::function<bool(int repeat)>& go_on, double min_gain) {
  constexpr std::uint64_t kSeedStep = 0x9e3779b97f4a7c15U;  // far apart, whatever the first
  const ReplayScorer scorer(space);
  ReplayResult result;
  result.space = space.name;
  result.strategy = strategy;
  result.budget_trials = scorer.budget_trials();
  result.budget_s = scorer.budget_s();
  result.optimum_ms = scorer.optimum_ms();
  const auto start = std::chrono::steady_clock::now();
  const auto early_trials = static_cast<std::size_t>(std::ceil(kEarlyShare * static_cast<double>(space.points.size())));
  std::vector<double> found, early;
  double trials = 0;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    if (!go_on(repeat)) return std::nullopt;
    result.traces.push_back(
        replay_once(space, result.budget_s, strategy, seed + static_cast<std::uint64_t>(repeat) * kSeedStep, min_gain));
    trials += static_cast<double>(result.traces.back().size());
    found.push_back(best_of(result.traces.back(), result.traces.back().size()) / result.optimum_ms);
    early.push_back(best_of(result.traces.back(), early_trials) / result.optimum_ms);
  }
  result.worst_found = *std::max_element(found.begin(), found.end());
  result.median_found = median(found);
  result.worst_early = *std::max_element(early.begin(), early.end());
  result.median_early = median(early);
  result.tried_share = trials / static_cast<double>(repeats) / static_cast<double>(space.points.size());
  result.seconds_per_trial = seconds_since(start) / std::max(1.0, trials);
  result.score = scorer.score(result.traces);
  return result;
}

}  // namespace duet
