// One way of choosing what to try next, given what is known: a strategy is one of these, the portfolio several on one
// history.
#pragma once

#include <cstddef>
#include <optional>

#include "tuner/search/random_source.h"
#include "tuner/search/trial_history.h"

namespace duet {

class Chooser {
 public:
  virtual ~Chooser() = default;
  // A configuration not proposed yet. Called only while there is one.
  virtual std::size_t choose(const TrialHistory& history, RandomSource& random) = 0;
  // A result, which is in the history already. `own`: of something that this chooser chose.
  virtual void learn(const Trial&, bool /*own*/, const TrialHistory&, RandomSource&) {}
};

// Of those not proposed yet, one that lies closest to `levels`.
std::size_t nearest_unproposed(std::span<const std::uint16_t> levels, const TrialHistory& history,
                               RandomSource& random);
// One that differs in one parameter and is not proposed yet; none when all of these are.
std::optional<std::size_t> unproposed_neighbour(std::size_t index, const TrialHistory& history, RandomSource& random);

// Of some at random, the one that lies farthest from all that were reported: spreads a first sample.
std::size_t space_filling(const TrialHistory& history, RandomSource& random);

}  // namespace duet
