// The one loop: enumerate candidates, compile, verify, time, record, choose; then build the plan from the winners.
//
// What a session can do follows from what it is given: with a device that measures, winners are chosen by measured
// time; with a device that only executes (the emulator), candidates are verified by execution and ranked by the cost
// model; with no device, they are compiled for the target's architecture and ranked by the cost model.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "codegen/candidate.h"
#include "codegen/device_spec.h"
#include "codegen/fusion.h"
#include "codegen/graph.h"
#include "codegen/reference_choices.h"
#include "codegen/schedule.h"
#include "runtime/device.h"
#include "runtime/plan.h"
#include "runtime/plan_store.h"
#include "tuner/fault_drill.h"
#include "tuner/finalists.h"
#include "tuner/goal.h"
#include "tuner/kernel_compiler.h"
#include "tuner/prediction_error.h"
#include "tuner/warm_start.h"

namespace duet {

struct TuneRequest {
  Graph graph;
  int text_length = 0;  // of a graph of shorten_text; 0: it takes texts of every length
  std::string target;   // as the user named it: "auto", "emulator", "jetson-orin-nx-16gb@25W"
  DeviceSpec device;
  FusionRules rules;
  ExecutionMode mode = ExecutionMode::streams;
  SearchSpace space;
  std::string strategy = "exhaustive";  // see search.h; ordered by the model when the candidates are limited
  // 0: all of them where a device runs them; for an absent device the 8 that the model ranks first.
  int max_candidates_per_kernel = 0;
  // The search of a kernel ends when its next trials are expected to gain less than this share of its time
  // (gain_rule.h), where time is measured and candidates are not limited; 0: never.
  double min_gain = 0;
  double tie = kTie;                       // times this near to each other count as equal (finalists.h)
  std::vector<ReferenceChoice> reference;  // chosen before on a device of this kind: preferred in ties
  double budget_s = 0;                     // 0: no limit
  double schedule_budget_s = 0;            // of it, for the schedule; 0: half, or 25 s where there is no limit
  int schedule_plans = 0;                  // tried in place of what there is, to choose kernels in context; 0: no limit
  Goal goal{};                             // of the whole plan; kernels are always searched for the least latency
  double energy_s = 2;                     // of runs back to back, for each plan whose energy is measured
  std::uint64_t seed = 1;
  int jobs = 0;                             // compiler threads; 0: one per core
  std::string commit;                       // of Duet, for the records; empty when unknown
  std::optional<std::uint64_t> drill_seed;  // one candidate in five is made faulty on purpose (fault_drill.h)
};

// What happened so far; given to the observer about ten times a second at most, and at each change of phase.
struct TuneProgress {
  std::string phase;    // "compile", "verify", "measure", "plan"
  std::string problem;  // the kernel being tuned
  int kernels_done = 0, kernels_total = 0;
  int candidates_done = 0, candidates_total = 0;
  int verified = 0, refused = 0, failed = 0, cached = 0;
  double best_us = 0;  // of the current kernel; 0 when none yet
  double elapsed_s = 0, left_s = 0;
};

// The same request, unfused and sequential: what a plan is compared with.
TuneRequest baseline_of(const TuneRequest& request);

struct TuneReport {
  Plan plan;
  PlanPoint point;                // what the plan costs
  std::vector<PlanPoint> points;  // the Pareto set of the plans tried, and the plan's own; empty where none was tried
  bool goal_met = true;           // else the plan is the nearest to its limits
  int candidates = 0, compiled = 0, cached = 0, verified = 0, infeasible = 0, failed = 0;
  double elapsed_s = 0, compile_s = 0, verify_s = 0, measure_s = 0;
  bool reused = false;                              // the plan is an earlier run's: there was nothing left to try
  bool interrupted = false;                         // the plan holds the best found until then
  std::vector<DrillOutcome> drill;                  // with TuneRequest::drill_seed
  std::vector<WarmOutcome> warm;                    // of kernels whose search began with what is known from elsewhere
  std::optional<PredictionError> prediction_error;  // of a plan that was predicted
};

class TuningSession {
 public:
  // `device` may be null; `compiler` may be null when the device compiles for itself (the emulator).
  TuningSession(Device* device, KernelCompiler* compiler, PlanStore& store);
  void set_observer(std::function<void(const TuneProgress&)> observer);
  // When it turns true, the session finishes with what it has.
  void set_stop_flag(const std::atomic<bool>* stop);
  // Whose candidates are tried first where a problem was not tuned on this device: the session's own store unless set;
  // null: none. It must outlive the session.
  void set_warm_store(const PlanStore* store);

  // Throws Error(missing) where the goal is energy and the device has no meter,
  // Error(no_result) naming the kernel when some kernel has no valid candidate, with the reasons counted.
  TuneReport tune(const TuneRequest& request);

 private:
  Device* device_;
  KernelCompiler* compiler_;
  PlanStore& store_;
  std::function<void(const TuneProgress&)> observer_;
  const std::atomic<bool>* stop_ = nullptr;
  const PlanStore* warm_store_;
};

}  // namespace duet
