#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "tuner/block_spread.h"
#include "tuner/elapsed.h"
#include "tuner/lighter_kernels.h"
#include "tuner/tuning_run.h"

namespace duet {
namespace {

// A kernel that takes less of the plan's time is compared once.
constexpr double kLeastShare = 0.02;
constexpr int kMostPasses = 8;  // each gains a percent at least

// Whether both run the same kernels in the same way; figures and what they were chosen over do not count.
bool same_execution(Plan a, Plan b) {
  for (Plan* plan : {&a, &b}) {
    plan->figures = {};
    plan->choices.clear();
    for (PlanStep& step : plan->steps) step.predicted_us = step.floor_us = step.measured_us = 0;
  }
  return a == b;
}

}  // namespace

void TuningRun::note_choices() {
  for (std::size_t problem = 0; problem < tuners_.size(); ++problem) {
    KernelChoice& choice = choices_.emplace_back();
    choice.device = tools_of(problems_.group[problem]).device_name;
    choice.problem = tuners_[problem]->name();
    choice.config = choice.alone_config = config_text(chosen_[problem].tile);
    choice.source_hash = source_identity(chosen_[problem].source, tools_.compiler);
    for (std::size_t group = 0; group < problems_.problem_of_group.size(); ++group)  // one step each, in this order
      if (problems_.problem_of_group[group] == static_cast<int>(problem))
        choice.steps.push_back(static_cast<int>(group));
  }
}

void TuningRun::note_chosen(std::size_t problem) {
  choices_[problem].config = config_text(chosen_[problem].tile);
  choices_[problem].source_hash = source_identity(chosen_[problem].source, tools_.compiler);
}

void TuningRun::note_choice_in_context(std::size_t problem, double alone_plan_us, double chosen_plan_us) {
  KernelChoice& choice = choices_[problem];
  note_chosen(problem);
  choice.alone_plan_us = alone_plan_us;
  choice.chosen_plan_us = chosen_plan_us;
}

int TuningRun::predicted_share() const {
  if (division_.shares.empty()) return 0;
  return search_share(division_.shares, division_.first_share, static_cast<int>(division_.shares.size()),
                      [&](int share) { return make_plan(chosen_, share).figures.latency_us; })
      .share;
}

void TuningRun::choose_schedule(const EarlierSchedule* begun) {
  if (tools_.measurer == nullptr) {
    variant_.first_share = predicted_share();
    return;
  }
  show("choose", "the schedule", true);
  const auto start = Clock::now();
  timer_ = std::make_unique<PlanTimer>(*device_, request_.graph, request_.seed, measurer_->watch());
  ScheduleChoice schedule(
      *timer_,
      [this](const std::vector<ChosenKernel>& kernels, const ScheduleVariant& variant) {
        return launch_variant(make_plan(kernels, variant.first_share), kernels, variant);
      },
      {.budget_s = schedule_budget_s(), .max_plans = request_.schedule_plans, .stopped = [this] { return stopped(); }});
  schedule.set_observer([this](const std::vector<ChosenKernel>& kernels, const ScheduleVariant& variant,
                               const Plan& plan, double us) { tried_.note(kernels, variant, plan, us); });
  variant_.first_share = division_.first_share;
  if (begun != nullptr) take_up(*begun);
  // Of what an earlier run tried only its result is known: another goal than latency needs more to choose from.
  if (begun == nullptr || request_.goal != Goal{}) variant_ = schedule.choose_variant(chosen_, variant_, may_spread());
  if (std::none_of(choices_.begin(), choices_.end(), was_compared)) {
    choose_lighter(schedule);
    choose_streams(schedule);
  }
  choose_together(schedule);
  const auto changed = std::count_if(choices_.begin(), choices_.end(),
                                     [](const KernelChoice& choice) { return choice.config != choice.alone_config; });
  if (changed > 0 && !stopped()) variant_ = schedule.choose_variant(chosen_, variant_, may_spread());
  cut_ = schedule.cut();
  counts_.measure_s += seconds_since(start);
  log_at(1, "{}; {} kernels chosen in context, in {:.1f} s{}", variant_text(variant_), changed, seconds_since(start),
         cut_ ? cut_text(*cut_) : "");
}

// In pairs the blocks of both towers start together, and fit an SM together.
bool TuningRun::may_spread() const {
  return starts_kernels_early(request_.device) && request_.mode != ExecutionMode::paired;
}

void TuningRun::choose_share(ScheduleChoice& schedule) {
  if (!division_.shares.empty()) variant_ = schedule.choose_share(chosen_, variant_, division_.shares);
}

void TuningRun::choose_streams(ScheduleChoice& schedule) {
  choose_share(schedule);
  if (request_.mode != ExecutionMode::paired)
    variant_ = schedule.choose_streams(chosen_, variant_, order_.stream_count);
}

void TuningRun::choose_lighter(ScheduleChoice& schedule) {
  std::vector<std::string> tower_of;
  for (const std::size_t group : problems_.group) tower_of.push_back(lowering_.groups[group].group.tower);
  for (const std::string& tower : towers_to_lighten(tower_of)) exchange_for_lighter(schedule, tower, tower_of);
}

void TuningRun::exchange_for_lighter(ScheduleChoice& schedule, const std::string& tower,
                                     std::span<const std::string> tower_of) {
  const std::vector<std::vector<ChosenKernel>> trials =
      lighter_plans(chosen_, tower_of, tower,
                    [this](std::size_t problem, double slower) { return tuners_[problem]->lightest(slower); });
  show("choose", "kernels that read less", true);
  const std::optional<ScheduleChoice::Turn> turn = schedule.choose_kernels(trials, variant_);
  if (!turn || turn->chosen == 0) return;
  chosen_ = trials[turn->chosen];
  for (std::size_t problem = 0; problem < choices_.size(); ++problem) note_chosen(problem);
  log_at(1, "kernels that read less from L2, {}: {:.1f} us instead of {:.1f}",
         tower.empty() ? "of all towers" : "of " + tower, turn->chosen_us(), turn->before_us());
}

void TuningRun::take_up(const EarlierSchedule& begun) {
  chosen_ = begun.kernels;
  variant_ = begun.variant;
  for (std::size_t problem = 0; problem < choices_.size(); ++problem) {
    const KernelChoice& before = begun.plan.choices[problem];
    note_choice_in_context(problem, before.alone_plan_us, before.chosen_plan_us);
  }
  const PlanFigures& figures = begun.plan.figures;
  tried_.at(tried_.note(chosen_, variant_, begun.plan, figures.latency_us)).point.energy_mj = figures.energy_mj;
}

// Where a kernel's blocks find room depends on those of the kernels before and after it, so that what is best for one
// changes with the others: on an H100 the five kernels of a layer that are fastest alone take up to a sixth longer than
// those found in a chain (docs/performance.md).
void TuningRun::choose_together(ScheduleChoice& schedule) {
  const bool begun = std::any_of(choices_.begin(), choices_.end(), was_compared);
  for (int pass = 0; pass < kMostPasses; ++pass) {
    bool changed = false;
    for (const std::size_t problem : by_share()) {
      const bool again = pass > 0 || (begun && was_compared(choices_[problem]));
      if (!again || share_of_plan(problem) >= kLeastShare) changed |= choose_in_context(schedule, problem);
    }
    if (!changed || schedule.cut()) return;
    choose_share(schedule);
  }
}

double TuningRun::share_of_plan(std::size_t problem) const {
  double sum_us = 0;
  for (std::size_t i = 0; i < tuners_.size(); ++i) sum_us += known_time_in_plan_us(i);
  return known_time_in_plan_us(problem) / sum_us;
}

bool TuningRun::choose_in_context(ScheduleChoice& schedule, std::size_t problem) {
  std::vector<ChosenKernel> alternatives;
  std::size_t alone = 0;  // its place among what is raced
  for (const KernelWinner& finalist : tuners_[problem]->finalists()) {
    if (same_kernel(finalist.kernel, chosen_[problem])) continue;
    alternatives.push_back(finalist.kernel);
    if (config_text(finalist.kernel.tile) == choices_[problem].alone_config) alone = alternatives.size();
  }
  show("choose", tuners_[problem]->name(), true);
  const std::optional<ScheduleChoice::Turn> turn = schedule.choose_kernel(chosen_, problem, alternatives, variant_);
  if (!turn) return false;
  if (turn->chosen > 0) {
    chosen_[problem] = alternatives[turn->chosen - 1];
    log_at(1, "{}: {} instead of {}, {:.1f} us instead of {:.1f}", tuners_[problem]->name(),
           config_text(chosen_[problem].tile), choices_[problem].config, turn->chosen_us(), turn->before_us());
  }
  const double alone_us = alone < turn->plans_us.size() ? turn->plans_us[alone] : 0;
  note_choice_in_context(problem, alone_us > 0 ? alone_us : turn->before_us(), turn->chosen_us());
  return turn->chosen > 0;
}

std::optional<EarlierSchedule> TuningRun::earlier_schedule() {
  const bool settled = std::all_of(tuners_.begin(), tuners_.end(), [](const auto& t) { return t->was_settled(); });
  if (tools_.measurer == nullptr || !settled) return std::nullopt;
  show("plan", "from an earlier run", true);
  std::optional<Plan> stored = store_.find(key()).plan;
  if (!stored || stored->provenance != Provenance::measured || !same_goal(*stored)) return std::nullopt;
  std::optional<std::vector<ChosenKernel>> kernels = kernels_of(*stored);
  if (!kernels) return std::nullopt;
  for (const ScheduleVariant& variant : variants_like(*stored)) {
    if (!division_.has(variant.first_share)) continue;
    const Plan again = launch_variant(make_plan(*kernels, variant.first_share), *kernels, variant);
    if (same_execution(again, *stored))
      return EarlierSchedule{.plan = std::move(*stored), .kernels = std::move(*kernels), .variant = variant};
  }
  return std::nullopt;
}

void TuningRun::reuse(Plan plan) {
  report_.plan = std::move(plan);
  report_.reused = true;
  note_stored_result();
  fill_report();
}

std::optional<std::vector<ChosenKernel>> TuningRun::kernels_of(const Plan& stored) const {
  if (stored.choices.size() != choices_.size()) return std::nullopt;
  std::vector<ChosenKernel> kernels;
  for (std::size_t problem = 0; problem < choices_.size(); ++problem) {
    const KernelChoice &before = stored.choices[problem], &now = choices_[problem];
    if (before.problem != now.problem || before.alone_config != now.alone_config) return std::nullopt;
    for (const KernelWinner& finalist : tuners_[problem]->finalists())
      if (config_text(finalist.kernel.tile) == before.config &&
          source_identity(finalist.kernel.source, tools_.compiler) == before.source_hash)
        kernels.push_back(finalist.kernel);
    if (kernels.size() != problem + 1) return std::nullopt;
  }
  return kernels;
}

}  // namespace duet
