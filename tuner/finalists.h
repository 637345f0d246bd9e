// The few of a problem's candidates that could be the best: kept while searching, raced when the search has ended.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "runtime/plan.h"
#include "tuner/plan_builder.h"
#include "tuner/race.h"
#include "tuner/stats.h"

namespace duet {

// Times of one kernel that are this near to each other count as equal. Fresh runs on an H100 time the same candidate
// 0.5 to 1% apart: with a tie of as much, what is preferred lies now within it and now beyond; with three times as
// much, 15 of clip-vit-b32's 16 problems chose alike in three runs, and their plans were no slower (docs/tuning.md).
inline constexpr double kTie = 0.03;

// What was chosen before, in the whole plan and on such a device, need not be as near: kernels that are this much
// faster alone have made that plan slower (docs/performance.md). Whether today's plan is faster with another is tried
// in it.
inline constexpr double kReferenceTie = 0.12;

// How much slower alone than the best a kernel may be and still be kept. A candidate known to be slower is not loaded
// again.
inline constexpr double kFinalistFactor = 1.25;

struct KernelWinner {
  ChosenKernel kernel{};
  double time_us = 0;  // measured, or predicted with the registers that the compiler gave
  Provenance provenance = Provenance::predicted;
  std::size_t candidate = 0;        // its place among the problem's
  bool reference = false;           // chosen before on a device of this kind
  Interval interval_us{};           // 95%, of the median time; none where nothing was timed
  int smem_bytes = 0, threads = 0;  // of a block
  double read_bytes = 0;            // from L2, by all blocks
};

// Whom a tie goes to: the one that was chosen before on a device of this kind, else the one that leaves more of an SM
// to others. Less shared memory a block, then fewer registers a
// block, then fewer threads; then the tile's text, so that the order is the same in every run.
bool preferred(const KernelWinner& a, const KernelWinner& b);

// Makes the first reference that is near enough to the fastest the winner.
void prefer_reference(const std::vector<KernelWinner>& racers, RaceResult& result);

class Finalists {
 public:
  // Keeps it if it is among the fastest, or reads less than all that are faster. Nothing is slower than the fastest by
  // more than a quarter.
  void keep(const KernelWinner& finalist);
  // Fastest first, until a race has been run: then its winner, the ties as they are preferred, the others.
  const std::vector<KernelWinner>& kept() const { return kept_; }
  // The one that reads least from L2 of those at most `slower` times as slow as the first; the first of equals.
  const KernelWinner& lightest(double slower) const;
  // Those that may be the fastest in truth, preferred ones first: what was timed minutes apart on a drifting clock is
  // not known to within the few percent that this allows for.
  std::vector<KernelWinner> contenders() const;
  // After a race, before more is kept: fastest first again.
  void reopen();
  // `racers` were raced with this result: their times and intervals are the race's from now on.
  void settle(std::vector<KernelWinner> racers, const RaceResult& result);

 private:
  std::size_t dispensable() const;

  std::vector<KernelWinner> kept_;
};

}  // namespace duet
