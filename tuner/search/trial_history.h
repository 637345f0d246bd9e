// What a search has proposed and learned so far, shared by every way of choosing what comes next.
#pragma once

#include <cstddef>
#include <vector>

#include "tuner/search/encoded_space.h"
#include "tuner/search/random_source.h"

namespace duet {

struct Trial {
  std::size_t index = 0;
  bool valid = false;
  double time_us = 0;
};

class TrialHistory {
 public:
  explicit TrialHistory(const EncodedSpace& space);

  const EncodedSpace& space() const { return *space_; }
  bool is_proposed(std::size_t index) const { return place_[index] == kGone; }
  std::size_t unproposed_count() const { return unproposed_.size(); }
  // In no particular order.
  const std::vector<std::size_t>& unproposed() const { return unproposed_; }
  std::size_t random_unproposed(RandomSource& random) const { return unproposed_[random.below(unproposed_.size())]; }

  const std::vector<Trial>& trials() const { return trials_; }    // reported, in order
  const std::vector<Trial>& ranking() const { return ranking_; }  // the valid ones, fastest first

  void mark_proposed(std::size_t index);
  void add(const Trial& trial);

 private:
  static constexpr std::size_t kGone = ~std::size_t{0};
  const EncodedSpace* space_;
  std::vector<std::size_t> unproposed_, place_;  // place_: where in unproposed_
  std::vector<bool> reported_;
  std::vector<Trial> trials_, ranking_;
};

}  // namespace duet
