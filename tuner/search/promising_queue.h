// What a fitted model of a space expects to be fastest, kept until enough is known to fit it anew: a step must cost far
// less than a trial.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "tuner/search/trial_history.h"

namespace duet {

class PromisingQueue {
 public:
  // By the model's score, the lowest first, and the configuration.
  using Scored = std::vector<std::pair<double, std::size_t>>;

  // Whether so much of what is known is new that the model is to be fitted again.
  bool is_stale(const TrialHistory& history) const {
    return history.trials().size() > fitted_at_ + fitted_at_ / kRefitPart;
  }

  // Keeps the best of a model that was fitted to this history.
  void refill(Scored scored, const TrialHistory& history) {
    const std::size_t kept = std::min(kKept, scored.size());
    std::partial_sort(scored.begin(), scored.begin() + static_cast<std::ptrdiff_t>(kept), scored.end());
    queue_.clear();
    for (std::size_t i = kept; i-- > 0;) queue_.push_back(scored[i].second);
    fitted_at_ = history.trials().size();
  }

  // The most promising that nobody proposed since; none when all are.
  std::optional<std::size_t> next(const TrialHistory& history) {
    while (!queue_.empty()) {
      const std::size_t index = queue_.back();
      queue_.pop_back();
      if (!history.is_proposed(index)) return index;
    }
    return std::nullopt;
  }

 private:
  static constexpr std::size_t kKept = 64;
  static constexpr std::size_t kRefitPart = 20;  // refitted when this part of what is known is new

  std::vector<std::size_t> queue_;  // the most promising last
  std::size_t fitted_at_ = 0;
};

}  // namespace duet
