// A plan of two towers that meet, and activity records of its replays as CUPTI would give them.
//
//   vision (stream 0): patches, layers.0.fc, layers.1.fc        text (stream 1): layers.0.fc, layers.1.fc
//   joint  (stream 0): similarity
#pragma once

#include <string>
#include <vector>

#include "profile/kernel_record.h"
#include "profile/timeline.h"

namespace duet::testing {

inline PlanStep sample_step(int kernel, const std::string& name, int grid, int stream) {
  return {.kernel = kernel,
          .name = name,
          .tower = name.substr(0, name.find('.')),
          .grid = {.x = grid, .y = 1, .z = 1},
          .stream = stream,
          .floor_us = 2};
}

// `text_grid`: of the text tower's kernels; 8 makes them indistinguishable from the vision tower's.
inline Plan two_tower_run(int text_grid = 4) {
  Plan plan{.key = {.model = "two-tower"}, .mode = ExecutionMode::streams, .stream_count = 2};
  plan.kernels = {{.entry = "patches", .family = "embedding", .config_text = "rows 4", .threads = 256},
                  {.entry = "gemm", .family = "gemm", .config_text = "block 64x64x32", .threads = 128},
                  {.entry = "similarity", .family = "similarity", .threads = 32}};
  plan.steps = {sample_step(0, "vision.patches", 16, 0),    sample_step(1, "text.layers.0.fc", text_grid, 1),
                sample_step(1, "vision.layers.0.fc", 8, 0), sample_step(1, "text.layers.1.fc", text_grid, 1),
                sample_step(1, "vision.layers.1.fc", 8, 0), sample_step(2, "joint.similarity", 1, 0)};
  plan.steps[5].waits = {3};
  return plan;
}

struct TimesNs {
  std::uint64_t start = 0, end = 0;
};

// By step: vision without a pause, its last product launched early; text begins 1 us later and idles 2 us.
inline std::vector<TimesNs> sample_times() {
  return {{1000, 5000}, {2000, 6000}, {5000, 9000}, {8000, 11000}, {8500, 12000}, {12000, 13000}};
}

// One replay's records in the order of the steps, `after_ns` later; nodes are numbered in that order too.
inline std::vector<KernelRecord> records_of(const Plan& plan, const std::vector<TimesNs>& times, std::uint32_t launch,
                                            std::uint64_t after_ns = 0) {
  std::vector<KernelRecord> records;
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const PlanKernel& kernel = plan.kernels[static_cast<std::size_t>(plan.steps[i].kernel)];
    records.push_back({.entry = kernel.entry,
                       .grid = plan.steps[i].grid,
                       .block = {.x = kernel.threads, .y = 1, .z = 1},
                       .registers = 96,
                       .smem_bytes = 4096,
                       .start_ns = times[i].start + after_ns,
                       .end_ns = times[i].end + after_ns,
                       .launch = launch,
                       .graph_node = (std::uint64_t{7} << 32) + i + 1});
  }
  return records;
}

// sample_times() as a replay.
inline Replay sample_replay(const Plan& plan) {
  Replay replay;
  const std::vector<TimesNs> times = sample_times();
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const int threads = plan.kernels[static_cast<std::size_t>(plan.steps[i].kernel)].threads;
    replay.slices.push_back({.start_us = static_cast<double>(times[i].start - 1000) / 1000,
                             .end_us = static_cast<double>(times[i].end - 1000) / 1000,
                             .block = {.x = threads, .y = 1, .z = 1},
                             .registers = 96,
                             .smem_bytes = 4096});
  }
  return replay;
}

}  // namespace duet::testing
