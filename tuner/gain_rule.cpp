#include "tuner/gain_rule.h"

#include <algorithm>
#include <limits>

namespace duet {
namespace {

constexpr std::size_t kRecords = 3;
constexpr double kUnknownGain = 0.05;  // of a record, while there were fewer

}  // namespace

void GainRule::report(const SearchResult& result) {
  ++trials_;
  if (!result.valid || result.time_us <= 0 || (best_us_ > 0 && result.time_us >= best_us_)) return;
  if (best_us_ > 0) gains_.push_back(best_us_ / result.time_us - 1);
  best_us_ = result.time_us;
  last_record_ = trials_;
}

double GainRule::expected_gain() const {
  if (trials_ < kLeastTrials || best_us_ <= 0) return std::numeric_limits<double>::infinity();
  const std::size_t counted = std::min(kRecords, gains_.size());
  double largest = counted < kRecords ? kUnknownGain : 0;
  for (std::size_t i = gains_.size() - counted; i < gains_.size(); ++i) largest = std::max(largest, gains_[i]);
  return kHorizon * largest / (trials_ - last_record_ + 1);
}

}  // namespace duet
