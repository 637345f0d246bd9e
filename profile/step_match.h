// Which step of a plan each activity record is of.
//
// A record names its kernel, not the step; one kernel serves many steps, and the streams inside a graph are not those
// it was captured from. What is known: a graph's nodes are numbered in the order of their capture, which is the plan's;
// and kernels of one stream start in the plan's order. The numbers are believed when every record then has its step's
// kernel and grid and each stream's starts ascend; else the records of a replay, by start, are read as an interleaving
// of the streams' sequences.
#pragma once

#include <span>

#include "profile/kernel_record.h"
#include "profile/timeline.h"

namespace duet {

struct StepMatch {
  std::vector<Replay> replays;  // whole ones, in order of time
  int incomplete_replays = 0;   // with fewer or more records than the plan has steps
  int unmatched_replays = 0;    // whose records are no run of the plan
  int foreign_records = 0;      // of kernels that the plan does not have
  int untimed_records = 0;      // without times
};

// Records may come in any order and from several replays.
StepMatch match_steps(std::span<const KernelRecord> records, const Plan& plan);

}  // namespace duet
