// A strategy run on a recorded space: configurations are looked up instead of run, and their cost is the clock.
//
//   const ReplayedSpace space = read_replayed_space("gemm.csv.gz");
//   const auto result = replay(space, "portfolio", 25, 1, [](int) { return true; });
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tuner/replay_score.h"
#include "tuner/replayed_space.h"

namespace duet {

// One run, until the budget is spent, everything was tried, or, as in tuning, no more than `min_gain` is expected
// (tuner/gain_rule.h) and all around the best was tried.
ReplayTrace replay_once(const ReplayedSpace& space, double budget_s, std::string_view strategy, std::uint64_t seed,
                        double min_gain = 0);

inline constexpr double kEarlyShare = 0.05;

struct ReplayResult {
  std::string space, strategy;
  int budget_trials = 0;  // random search's, until 95% of the way from median to optimum
  double budget_s = 0;
  double score = 0;
  double optimum_ms = 0;
  double median_found = 0, worst_found = 0;  // best found / optimum, over the repeats
  double median_early = 0, worst_early = 0;  // the same after kEarlyShare of the space was tried
  double tried_share = 0;                    // of the space, mean over the repeats
  double seconds_per_trial = 0;              // that the strategy itself took, mean
  std::vector<ReplayTrace> traces;
};

// `repeats` runs with seeds derived from `seed`. Asks `go_on` before each; none when that said no.
std::optional<ReplayResult> replay(const ReplayedSpace& space, std::string_view strategy, int repeats,
                                   std::uint64_t seed, const std::function<bool(int repeat)>& go_on,
                                   double min_gain = 0);

}  // namespace duet
