// When a search is worth no further trial: the records it set so far say what the next trials may gain.
//
// Where the best has stood for n trials, the next one betters it with a chance of about 1 / (n + 1), as any of n + 1
// may be the best of them; and it is taken to gain no more than the largest of the last three records did. A space that
// was bettered by large steps is searched for long after the last of them, one of small steps is not.
#pragma once

#include <vector>

#include "tuner/search.h"

namespace duet {

class GainRule {
 public:
  static constexpr int kHorizon = 100;     // trials that a gain is told for
  static constexpr int kLeastTrials = 40;  // fewer tell nothing

  // `min_gain`: of the time, as a share, by the next kHorizon trials: 0.02 is 2%. 0 never ends.
  explicit GainRule(double min_gain) : min_gain_(min_gain) {}

  void report(const SearchResult& result);
  // By the next kHorizon trials, as a share of the best time; infinite while too little is known.
  double expected_gain() const;
  bool ends() const { return min_gain_ > 0 && expected_gain() < min_gain_; }

 private:
  double min_gain_;
  int trials_ = 0, last_record_ = 0;
  double best_us_ = 0;         // 0: none valid yet
  std::vector<double> gains_;  // of each record over the one before, as a share
};

}  // namespace duet
