// Replays of a plan as times of its steps, and what each step adds to its stream.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "runtime/plan.h"

namespace duet {

// One step of one replay, in microseconds since the replay's first kernel started.
struct StepSlice {
  double start_us = 0, end_us = 0;
  GridSize block{};
  int registers = 0;
  int smem_bytes = 0;  // of a block, static and dynamic

  double duration_us() const { return end_us - start_us; }
  bool operator==(const StepSlice&) const = default;
};

struct Replay {
  std::vector<StepSlice> slices;  // by step of the plan

  double span_us() const;  // from the first start to the last end
};

// A kernel that is launched early overlaps the one before it on its stream, and waits inside for that to end. So its
// duration is no cost: what it adds is the time for which it alone kept the stream from going on.
struct StreamCost {
  double exposed_us = 0;  // of its duration, what lies after the end of every earlier kernel on its stream
  double gap_us = 0;      // between that end and its start; 0 when it started before, or is the first
};

// By step. On one stream exposed times add up to the time in which a kernel ran, and with the gaps to the span.
std::vector<StreamCost> stream_costs(const Plan& plan, const Replay& replay);

// The one whose span is the median (the lower of two). There must be one.
const Replay& median_replay(std::span<const Replay> replays);

// In order of their first step.
std::vector<std::string> tower_names(const Plan& plan);

}  // namespace duet
