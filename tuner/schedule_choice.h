// The upper level of the search: how the kept kernels run together, measured on the whole plan.
//
// Kernels launched before their predecessor has ended hide their start and the latency of their weights, and hold SMs
// that the other tower could use; weights asked for early hide DRAM's latency, and compete with those needed now. And
// the kernels that are fastest alone are not always so beside the other tower's. What weighs more is measured: plans
// take turns (tuner/race.h), and what is surely no faster gives way to what comes first.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runtime/plan.h"
#include "tuner/finalists.h"
#include "tuner/plan_timer.h"

namespace duet {

struct ScheduleVariant {
  bool early_launch = true;
  bool prefetch = false;  // of weights

  bool operator==(const ScheduleVariant&) const = default;
};
// A tie goes to the first.
inline constexpr std::array<ScheduleVariant, 4> kScheduleVariants = {{
    {.early_launch = true, .prefetch = false},
    {.early_launch = true, .prefetch = true},
    {.early_launch = false, .prefetch = false},
    {.early_launch = false, .prefetch = true},
}};
std::string variant_text(const ScheduleVariant& variant);  // "early launches, no prefetch"

struct ScheduleLimits {
  double budget_s = 0;  // from now; 0: none
  int max_plans = 0;    // compared with what there is; 0: no limit
  std::function<bool()> stopped = [] { return false; };
};

class ScheduleChoice {
 public:
  using MakePlan = std::function<Plan(const std::vector<ChosenKernel>& kernels, const ScheduleVariant& variant)>;
  ScheduleChoice(PlanTimer& timer, MakePlan make_plan, ScheduleLimits limits);

  // The fastest of the variants for these kernels. Throws Error(device) when none of them can be measured.
  ScheduleVariant choose_variant(const std::vector<ChosenKernel>& kernels);

  struct Turn {
    std::size_t chosen = 0;  // 0: what there was; i: alternatives[i - 1]
    double before_us = 0, chosen_us = 0;
  };
  // Whether another kernel for one problem makes the whole plan faster. None when there was nothing to compare, or the
  // budget ended before there was an answer.
  std::optional<Turn> choose_kernel(const std::vector<ChosenKernel>& kernels, std::size_t problem,
                                    const std::vector<ChosenKernel>& alternatives, const ScheduleVariant& variant);
  bool may_go_on() const;

 private:
  PlanTimer& timer_;
  MakePlan make_plan_;
  ScheduleLimits limits_;
  std::chrono::steady_clock::time_point start_;
  int plans_ = 0;  // alternatives compared so far
};

}  // namespace duet
