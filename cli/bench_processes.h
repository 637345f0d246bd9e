// `duet bench --processes-s`: each tower in a process of its own, as without Duet, beside both in one plan.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/plan_choice.h"

namespace duet {

struct ProcessBench {
  PlanChoice plan;
  std::string variant;
  std::string target;
  double seconds = 0;
  std::uint64_t seed = 1;
};

// Runs of one process, each waited for, by the host's clock.
struct ProcessFigures {
  std::string model;   // "clip-vit-b32.vision"
  std::string beside;  // what ran at the same time; empty: nothing
  double median_us = 0, p99_us = 0, runs_per_s = 0;
};

// Every tower alone, all towers at once, and the whole model in one process. Nothing that uses the device may be open
// here. Throws Error(missing) naming the command that makes a missing plan.
std::vector<ProcessFigures> time_processes(const ProcessBench& request);

nlohmann::json process_figures_json(const std::vector<ProcessFigures>& figures);
void print_process_figures(const std::vector<ProcessFigures>& figures);

}  // namespace duet
