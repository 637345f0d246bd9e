// The upper level of the search: how the kept kernels run together, measured on the whole plan.
//
// Kernels launched before their predecessor has ended hide their start and the latency of their weights, and hold SMs
// that the other tower could use; weights asked for early hide DRAM's latency, and compete with those needed now. And
// the kernels that are fastest alone are not always so beside the other tower's. What weighs more is measured: plans
// take turns (tuner/race.h), and what is surely no faster gives way to what comes first.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/plan.h"
#include "tuner/co_execution.h"
#include "tuner/finalists.h"
#include "tuner/plan_timer.h"
#include "tuner/schedule_cut.h"

namespace duet {

struct ScheduleVariant {
  bool early_launch = true;
  bool prefetch = false;  // of weights
  bool spread = false;    // blocks evenly on the SMs (block_spread.h), of kernels launched early
  LaunchOrder order = LaunchOrder::graph;
  int priority = -1;    // the stream that has it; -1: none
  int first_share = 0;  // SMs of the first of two towers, where they are divided (sm_division.h); else 0

  bool operator==(const ScheduleVariant&) const = default;
};
// With early launches and prefetch on and off, all else as in `like`; a tie goes to the first. Where blocks may be
// spread, early launches with and without that.
std::vector<ScheduleVariant> launch_variants(const ScheduleVariant& like, bool may_spread);
// The variants that may have given this plan's streams and the order of its steps.
std::vector<ScheduleVariant> variants_like(const Plan& plan);
std::string variant_text(const ScheduleVariant& variant);  // "early launches, spread, no prefetch, by turns, ..."

struct ScheduleLimits {
  double budget_s = 0;  // from now; 0: none
  int max_plans = 0;    // compared with what there is; 0: no limit
  std::function<bool()> stopped = [] { return false; };
};

class ScheduleChoice {
 public:
  using MakePlan = std::function<Plan(const std::vector<ChosenKernel>& kernels, const ScheduleVariant& variant)>;
  // A plan that was raced, and its median latency.
  using Observer = std::function<void(const std::vector<ChosenKernel>& kernels, const ScheduleVariant& variant,
                                      const Plan& plan, double median_us)>;
  ScheduleChoice(PlanTimer& timer, MakePlan make_plan, ScheduleLimits limits);
  void set_observer(Observer observer) { observer_ = std::move(observer); }

  // The fastest of launch_variants(like, may_spread) for these kernels. Throws Error(device) when none of them can be
  // measured.
  ScheduleVariant choose_variant(const std::vector<ChosenKernel>& kernels, const ScheduleVariant& like,
                                 bool may_spread);
  // From the share of `like` to a faster one beside it, as long as there is one; `shares` ascend. `like` itself where
  // there is none, or the budget is spent.
  ScheduleVariant choose_share(const std::vector<ChosenKernel>& kernels, const ScheduleVariant& like,
                               const std::vector<int>& shares);
  // Orders of launch, then, where the towers share their SMs, priority for one of the streams. As above.
  ScheduleVariant choose_streams(const std::vector<ChosenKernel>& kernels, const ScheduleVariant& like,
                                 int stream_count);

  struct Turn {
    std::size_t chosen = 0;          // 0: what there was; i: alternatives[i - 1]
    std::vector<double> plans_us{};  // of what there was and of the alternatives that were tried; 0: it failed

    double before_us() const { return plans_us.front(); }
    double chosen_us() const { return plans_us.at(chosen); }
  };
  // Whether another kernel for one problem makes the whole plan faster, in two races. None when there was nothing to
  // compare, or the budget ended before there was an answer.
  std::optional<Turn> choose_kernel(const std::vector<ChosenKernel>& kernels, std::size_t problem,
                                    const std::vector<ChosenKernel>& alternatives, const ScheduleVariant& variant);
  // As choose_kernel, for plans that differ in any of their kernels: the first of `trials` is what there is.
  std::optional<Turn> choose_kernels(const std::vector<std::vector<ChosenKernel>>& trials,
                                     const ScheduleVariant& variant);
  // Why something was left untried; none where nothing was.
  const std::optional<ScheduleCut>& cut() const { return cut_; }

 private:
  std::size_t race_variants(const std::vector<ChosenKernel>& kernels, const std::vector<ScheduleVariant>& variants,
                            const std::function<bool()>& go_on);
  bool gains_again(const Plan& before, const Plan& better);
  ScheduleVariant choose_gain(const std::vector<ChosenKernel>& kernels, const std::vector<ScheduleVariant>& variants);
  // Asked where there is something left to do: when they say no, they note why.
  bool may_go_on();
  bool within_budget();
  bool unless_stopped();
  // As many of these as may still be compared.
  std::size_t allowed_of(std::size_t alternatives);
  void note_plans_limit();
  void tell(const std::vector<ChosenKernel>& kernels, const ScheduleVariant& variant, const Plan& plan,
            const RaceEntry& entry) const;

  PlanTimer& timer_;
  MakePlan make_plan_;
  ScheduleLimits limits_;
  Observer observer_;
  std::chrono::steady_clock::time_point start_;
  int plans_ = 0;  // alternatives compared so far
  std::optional<ScheduleCut> cut_;
};

}  // namespace duet
