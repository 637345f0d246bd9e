#include "tuner/search/trial_history.h"

#include <algorithm>
#include <numeric>

namespace duet {

TrialHistory::TrialHistory(const EncodedSpace& space)
    : space_(&space), unproposed_(space.size()), place_(space.size()), reported_(space.size(), false) {
  std::iota(unproposed_.begin(), unproposed_.end(), std::size_t{0});
  place_ = unproposed_;
}

void TrialHistory::mark_proposed(std::size_t index) {
  if (is_proposed(index)) return;
  const std::size_t last = unproposed_.back();
  unproposed_[place_[index]] = last;
  place_[last] = place_[index];
  unproposed_.pop_back();
  place_[index] = kGone;
}

void TrialHistory::add(const Trial& trial) {
  mark_proposed(trial.index);
  if (reported_[trial.index]) return;  // told twice: the first counts
  reported_[trial.index] = true;
  trials_.push_back(trial);
  if (!trial.valid) return;
  const auto slower = [](const Trial& a, const Trial& b) { return a.time_us < b.time_us; };
  ranking_.insert(std::upper_bound(ranking_.begin(), ranking_.end(), trial, slower), trial);
}

}  // namespace duet
