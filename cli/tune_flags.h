// The flags of `duet tune`, and the request that they make.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/target.h"
#include "tuner/tuning_session.h"

namespace duet {

struct TuneFlags {
  GraphFlags graph;
  StoreFlags store;
  std::string target = "auto";
  std::string space = "default";
  std::string strategy = "auto";
  std::string mode = "streams";
  std::vector<std::string> disabled_rules;
  std::string objective = "latency";
  double max_latency_us = 0, max_memory_mb = 0;
  double budget_s = 0;
  double schedule_budget_s = 0;
  int schedule_plans = 0;
  std::optional<double> min_gain;
  double tie = kTie;
  int max_candidates = 0;
  int jobs = 0;
  std::uint64_t seed = 1;
  bool no_baseline = false;
  std::string warm_from = "auto";
  std::string reference = "auto";
  std::string isolation = "process";
  double candidate_timeout_s = 0;
  double hog_gbps = 0;
  std::optional<std::uint64_t> drill_seed;
};

void add_tune_flags(CLI::App& command, TuneFlags& flags);
Goal goal_of(const TuneFlags& flags);
// Throws Error(input) for a graph, rule or search space that is none.
TuneRequest make_request(const TuneFlags& flags, const Target& target);
// One, or with `all` each.
std::vector<ExecutionMode> modes_of(const TuneFlags& flags);

}  // namespace duet
