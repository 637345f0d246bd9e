// What a plan's replays come to: how busy each tower and the whole were, and which kernels took the time.
// docs/profiling.md says how each figure is defined.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "profile/intervals.h"
#include "profile/timeline.h"

namespace duet {

struct TowerFigures {
  std::string tower;
  int kernels = 0;
  double start_us = 0;  // its first, after the first of all
  double busy_us = 0;   // in which any of its kernels ran
  double idle_us = 0;   // span less busy
  double span_us = 0;   // from its first start to its last end
  double floor_us = 0;
};

// Equal steps of all layers as one. Times are means over them and over all replays.
struct KernelFigures {
  std::string name;     // "vision.layers.*.qkv"
  std::string entry;    // the kernel
  int count = 0;        // in one replay
  double total_us = 0;  // exposed, in one replay
  double mean_us = 0;   // from start to end
  double exposed_us = 0;
  double gap_us = 0;
  double floor_us = 0;
  double ratio = 0;  // exposed to floor; 0 without a floor
};

struct ProfileFigures {
  // Of the replay of median span.
  double span_us = 0;
  double busy_us = 0;     // in which any kernel ran
  double overlap_us = 0;  // in which kernels of two towers ran
  std::vector<TowerFigures> towers;
  // Of all replays.
  std::vector<double> span_us_samples;
  std::vector<KernelFigures> kernels;  // the costliest first

  double idle_share() const { return span_us > 0 ? 1 - busy_us / span_us : 0; }
  double overlap_share() const { return span_us > 0 ? overlap_us / span_us : 0; }
};

// There must be a replay.
ProfileFigures compute_figures(const Plan& plan, std::span<const Replay> replays);

// When how many towers had a kernel running.
std::vector<Level> towers_running(const Plan& plan, const Replay& replay);

// "vision.layers.11.qkv" -> "vision.layers.*.qkv"
std::string without_numbers(const std::string& step_name);

}  // namespace duet
