// How good a search is, on a recorded space, against random search and the optimum: 0 is random search in expectation,
// 1 the optimum at once. The methodology is the community's (autotuning_methodology): performance over time, sampled
// from where random search passes 1% of the way between median and optimum to where it passes 95%.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "tuner/replayed_space.h"

namespace duet {

struct ReplayedTrial {
  std::optional<double> time_ms;  // none: it failed
  double cost_s = 0;
};
using ReplayTrace = std::vector<ReplayedTrial>;  // in the order tried

class ReplayScorer {
 public:
  explicit ReplayScorer(const ReplayedSpace& space);

  double optimum_ms() const { return ascending_ms_.front(); }
  int budget_trials() const { return trials_end_; }  // random search's until 95%
  double budget_s() const;                           // a strategy runs that long
  double score(const std::vector<ReplayTrace>& repeats) const;
  // Expected best of random search after `elapsed_s`.
  double random_search_ms(double elapsed_s) const;

 private:
  double target_ms(double part) const;
  int trials_until(double part) const;
  void prepare_random_search();
  double time_s(std::size_t step) const;
  std::vector<double> mean_ranks(const std::vector<ReplayTrace>& repeats) const;

  std::vector<double> ascending_ms_;
  double median_ms_ = 0, median_cost_s_ = 0, cost_per_trial_s_ = 0;
  int trials_start_ = 0, trials_end_ = 0;
  std::vector<double> random_trials_, random_ms_, random_slopes_;  // the curve of random search, joined by PCHIP
};

}  // namespace duet
