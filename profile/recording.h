// Replays of an engine's plan, timed without and traced with CUPTI.
#pragma once

#include "profile/kernel_trace.h"
#include "runtime/engine.h"

namespace duet {

struct Recording {
  TracedKernels kernels;
  std::vector<double> untraced_us;  // whole replays, event-timed while nothing is traced
};

// `trace` runs since before the engine was made. Every input must have been set.
Recording record_replays(Engine& engine, KernelTrace& trace, int replays);

}  // namespace duet
