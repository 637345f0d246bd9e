#include "tuner/schedule_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "tuner/elapsed.h"

namespace duet {
namespace {

// A whole plan's replays are long and steady: less than a kernel's tie can be told apart.
constexpr double kPlanTie = 0.004;
constexpr int kSamplesPerTurn = 8;
constexpr int kMaxRounds = 16;

}  // namespace

std::string variant_text(const ScheduleVariant& variant) {
  return fmt::format("{} launches, {}", variant.early_launch ? "early" : "plain",
                     variant.prefetch ? "weights prefetched" : "no prefetch");
}

ScheduleChoice::ScheduleChoice(PlanTimer& timer, MakePlan make_plan, ScheduleLimits limits)
    : timer_(timer),
      make_plan_(std::move(make_plan)),
      limits_(std::move(limits)),
      start_(std::chrono::steady_clock::now()) {}

bool ScheduleChoice::may_go_on() const {
  if (limits_.stopped()) return false;
  if (limits_.max_plans > 0 && plans_ >= limits_.max_plans) return false;
  return limits_.budget_s <= 0 || seconds_since(start_) < limits_.budget_s;
}

// Not ended by the budget: without an answer here there is no plan.
ScheduleVariant ScheduleChoice::choose_variant(const std::vector<ChosenKernel>& kernels) {
  std::vector<Plan> plans;
  for (const ScheduleVariant& variant : kScheduleVariants) plans.push_back(make_plan_(kernels, variant));
  const std::size_t at_once = std::min(plans.size(), timer_.plans_at_once(plans.front()));
  std::size_t best = 0;
  // Where memory does not take all of them, the best so far meets the next ones.
  for (std::size_t next = 1; next < plans.size();) {
    std::vector<std::size_t> runners{best};
    while (runners.size() < at_once && next < plans.size()) runners.push_back(next++);
    std::vector<Plan> racing;
    for (const std::size_t runner : runners) racing.push_back(plans[runner]);
    const RaceResult result =
        timer_.race(racing, {.tie = kPlanTie, .samples_per_turn = kSamplesPerTurn, .max_rounds = kMaxRounds},
                    [&] { return !limits_.stopped(); });
    for (std::size_t i = 0; i < runners.size(); ++i)
      log_at(1, "{}: {:.1f} us{}", variant_text(kScheduleVariants[runners[i]]), result.entries[i].median_us,
             result.entries[i].tie ? ", a tie" : "");
    if (result.entries[result.winner].failed)
      fail(ErrorKind::device, "the whole plan cannot be measured: {}", timer_.last_failure());
    best = runners[result.winner];
  }
  return kScheduleVariants[best];
}

std::optional<ScheduleChoice::Turn> ScheduleChoice::choose_kernel(const std::vector<ChosenKernel>& kernels,
                                                                  std::size_t problem,
                                                                  const std::vector<ChosenKernel>& alternatives,
                                                                  const ScheduleVariant& variant) {
  if (alternatives.empty() || !may_go_on()) return std::nullopt;
  std::vector<Plan> plans{make_plan_(kernels, variant)};
  std::size_t most = timer_.plans_at_once(plans.front());
  if (limits_.max_plans > 0) most = std::min(most, 1 + static_cast<std::size_t>(limits_.max_plans - plans_));
  for (const ChosenKernel& alternative : alternatives) {
    if (plans.size() >= most) break;
    std::vector<ChosenKernel> trial = kernels;
    trial[problem] = alternative;
    plans.push_back(make_plan_(trial, variant));
  }
  plans_ += static_cast<int>(plans.size()) - 1;
  const RaceResult result = timer_.race(
      plans, {.tie = kPlanTie, .samples_per_turn = kSamplesPerTurn, .max_rounds = kMaxRounds, .only_gains = true},
      [&] { return !limits_.stopped() && (limits_.budget_s <= 0 || seconds_since(start_) < limits_.budget_s); });
  if (result.end == RaceEnd::stopped) return std::nullopt;
  const RaceEntry& before = result.entries.front();
  const RaceEntry& chosen = result.entries[result.winner];
  if (chosen.failed) fail(ErrorKind::device, "the whole plan cannot be measured: {}", timer_.last_failure());
  return Turn{.chosen = result.winner, .before_us = before.median_us, .chosen_us = chosen.median_us};
}

}  // namespace duet
