// One run of a TuningSession, for the session alone: it owns what lives as long as that. How kernels share the budget
// (tuning_run_kernels.cpp), how the schedule is chosen (tuning_run_schedule.cpp), and what is made of a goal
// (tuning_run_goal.cpp) are apart.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tuner/co_execution.h"
#include "tuner/kernel_tuner.h"
#include "tuner/plan_timer.h"
#include "tuner/schedule_choice.h"
#include "tuner/sm_division.h"
#include "tuner/tried_plans.h"
#include "tuner/tuning_session.h"

namespace duet {

// How long a whole plan is timed.
inline constexpr StoppingRule kPlanRule{
    .min_samples = 20, .max_samples = 500, .max_uncertainty = 0.01, .budget_us = 2e6};

// The distinct problems of a lowering.
struct Problems {
  std::vector<std::size_t> group;     // by problem: the first group that poses it
  std::vector<int> uses;              // by problem: groups that pose it
  std::vector<int> problem_of_group;  // by group
};

// A stored plan that can be built again, and how.
struct EarlierSchedule {
  Plan plan{};
  std::vector<ChosenKernel> kernels{};
  ScheduleVariant variant{};
};

class TuningRun {
  using Clock = std::chrono::steady_clock;

 public:
  TuningRun(Device* device, KernelCompiler* compiler, PlanStore& store, const TuneRequest& request,
            const std::function<void(const TuneProgress&)>& observer, const std::atomic<bool>* stop,
            const PlanStore* warm_store);

  // The store keeps a row of every run, however it ends.
  TuneReport run();

 private:
  void search();

  // As it is launched; where nothing is measured, how is no choice.
  Plan finished(Plan plan, const std::vector<ChosenKernel>& kernels, const ScheduleVariant& variant) const;

  bool stopped() const { return stop_ != nullptr && stop_->load(); }

  void make_tuners();

  // Of the SMs that a group is tuned on.
  const TunerTools& tools_of(std::size_t group) const;

  // What a problem's kernels take of the plan's time, as the model tells before anything was timed.
  double time_in_plan_us(std::size_t problem) const;

  // The same, from the winner's time where there is one.
  double known_time_in_plan_us(std::size_t problem) const;

  // Those that take the largest share of the plan first, so that a budget is spent where it matters.
  std::vector<std::size_t> by_share() const;

  // Of a budget, for the kernels. The schedule's part is kept for it.
  double kernels_left_s() const;

  static Clock::time_point in_seconds(double seconds);

  // Of the first of the problems that are left.
  std::optional<Clock::time_point> deadline(std::span<const std::size_t> problems_left, double overrun_s) const;

  void tune_all();

  // What kernels whose search came to its end left of the budget goes to those whose part was too small: to where the
  // plan is expected to gain most at a time, since trials without a record lower what is expected of the next.
  void spend_rest(const char* phase);

  // By going on with the search of a problem that its part of the budget ended; 0 where that is not worth it.
  double gain_in_plan_us(std::size_t problem) const;

  // What a kernel gains, the plan gains by the kernel's share of its time.
  double min_gain(std::size_t problem) const;

  double schedule_budget_s() const;

  KernelTuner::OnCandidate on_candidate(const KernelTuner& tuner, const char* phase);

  // A search that ended by itself without a winner ends the session; one cut short is finished later.
  void require_winner(const KernelTuner& tuner, const SearchLimits& limits) const;

  [[noreturn]] void fail_without_winner(const KernelTuner& tuner) const;

  // Kernels that the search did not reach take the first candidate in the model's order that is right.
  void finish_untuned();

  Provenance provenance() const;

  PlanKey key() const;

  // `first_share`: the SMs of the first tower; 0 where they are not divided.
  Plan make_plan(const std::vector<ChosenKernel>& kernels, int first_share) const;

  // Of figures that are predicted.
  std::optional<PredictionError> predicted_error(const Plan& plan) const;

  void check_plan();

  // One right result does not show a race between kernels or blocks.
  void require_identical_runs();

  // Each problem's winner by itself, to begin with.
  void note_choices();

  void note_chosen(std::size_t problem);

  void note_choice_in_context(std::size_t problem, double alone_plan_us, double chosen_plan_us);

  // Where nothing is measured: the share with which the model expects the least latency.
  int predicted_share() const;

  // Launches and prefetch, the division of the SMs, the streams' order and priority; then the kernels in that context;
  // then launches and prefetch once more where kernels changed. `begun`: an earlier run that was cut short, which is
  // gone on with.
  void choose_schedule(const EarlierSchedule* begun);

  static bool was_compared(const KernelChoice& choice) { return choice.alone_plan_us > 0; }

  // Of the SMs, for the first tower, where they are divided.
  void choose_share(ScheduleChoice& schedule);

  void choose_streams(ScheduleChoice& schedule);

  // Many kernels at once, by those that read less (lighter_kernels.h). `tower_of`: of each problem.
  void choose_lighter(ScheduleChoice& schedule);
  void exchange_for_lighter(ScheduleChoice& schedule, const std::string& tower, std::span<const std::string> tower_of);

  // Its kernels and its variant, what its kernels were compared with, and what it costs.
  void take_up(const EarlierSchedule& begun);

  // Kernels in the whole plan, one after the other, and the division of the SMs, until a pass over them changes
  // nothing.
  void choose_together(ScheduleChoice& schedule);

  // Another of its finalists, where that makes the whole plan faster; whether it did.
  bool choose_in_context(ScheduleChoice& schedule, std::size_t problem);

  // What a problem's kernels take of all kernels' time, each timed alone.
  double share_of_plan(std::size_t problem) const;

  // The races were for the least latency; what else was asked for decides among all that they timed, and a plan of less
  // memory where memory counts.
  void choose_by_goal();

  void take_kernel(std::size_t problem, const ChosenKernel& kernel);

  // In the present variant. One that no race has timed is timed now, or predicted.
  std::size_t note_tried(const std::vector<ChosenKernel>& kernels);

  // Of the finalists, which only a device that measures leaves, where the plan of the leanest holds less than now.
  void note_leaner_plan();

  std::int64_t scratch_bytes(std::size_t problem, const ChosenKernel& kernel) const;

  // Beyond the budget only where energy is what was asked for.
  void measure_energies(std::size_t fastest);

  void measure_energy_of(TriedPlan& tried);

  // A stop may have left something to choose from also where no race was cut short: energies.
  void note_stop();

  // What the plan costs after all, beside the others that were tried.
  void note_result();

  // Whether it was chosen for what is asked for now.
  bool same_goal(const Plan& stored) const;

  void note_stored_result();

  // The plan of an earlier run for the same goal, where all that would lead to it again is known: nothing was tried
  // now, its kernels were chosen over the same winners, and it is what would be built of them.
  std::optional<EarlierSchedule> earlier_schedule();

  void reuse(Plan plan);

  // None when one of them is not among the finalists now, or was chosen over another winner.
  std::optional<std::vector<ChosenKernel>> kernels_of(const Plan& stored) const;

  Plan launch_variant(Plan plan, const std::vector<ChosenKernel>& kernels, const ScheduleVariant& variant) const;

  // The plan made of `kernels` with its towers paired, where that is the mode asked for; else as it is.
  Plan paired(Plan plan, const std::vector<ChosenKernel>& kernels) const;

  bool may_spread() const;

  std::optional<std::vector<KernelImage>> compile_pair(const KernelSource& source) const;

  void measure_plan();

  void fill_report();

  void show(const char* phase, const std::string& problem, bool force);

  // By the kernels that are done; 0 while nothing is known.
  double left_s() const;

  Device* device_;
  PlanStore& store_;
  const TuneRequest& request_;
  const std::function<void(const TuneProgress&)>& observer_;
  const std::atomic<bool>* stop_;
  Clock::time_point start_;
  Clock::time_point last_shown_{};
  const DividedGraph divided_;  // the requested graph with what the rules add, for the SMs that kernels are tuned for
  const FusedGraph& fused_ = divided_.fused;
  const Lowering& lowering_ = divided_.lowering;
  const StepOrder& order_ = divided_.order;
  const SmDivision& division_ = divided_.division;
  Problems problems_;
  DeviceFingerprint fingerprint_;
  TunerTools tools_;
  std::unique_ptr<CompilePool> pool_;
  std::unique_ptr<Measurer> measurer_;
  std::map<int, std::unique_ptr<PartTools>> parts_;  // by SMs
  std::optional<KnownSpaces> known_;
  TuneCounts counts_;
  std::vector<std::unique_ptr<KernelTuner>> tuners_;
  std::vector<ChosenKernel> chosen_;   // by problem
  std::vector<KernelChoice> choices_;  // by problem
  std::unique_ptr<PlanTimer> timer_;   // where time is measured
  ScheduleVariant variant_;
  std::optional<ScheduleCut> cut_;  // the choice of it
  TriedPlans tried_;
  TuneProgress progress_;
  TuneReport report_;
};

}  // namespace duet
