#include "base/error.h"
#include "base/log.h"
#include "runtime/plan_memory.h"
#include "tuner/elapsed.h"
#include "tuner/tuning_run.h"

namespace duet {

void TuningRun::choose_by_goal() {
  const std::size_t fastest = note_tried(chosen_);
  const Goal& goal = request_.goal;
  if (goal.objective == Objective::memory || goal.max_memory_bytes > 0) note_leaner_plan();
  measure_energies(fastest);
  if (goal == Goal{}) return;
  const std::vector<PlanPoint> points = tried_.points();
  const TriedPlan& best = tried_.at(choose_point(goal, points).index);
  log_at(1, "for {}: {}", goal_text(goal), best.point.schedule);
  variant_ = best.variant;
  for (std::size_t problem = 0; problem < chosen_.size(); ++problem) take_kernel(problem, best.kernels[problem]);
}

void TuningRun::take_kernel(std::size_t problem, const ChosenKernel& kernel) {
  if (same_kernel(kernel, chosen_[problem])) return;
  chosen_[problem] = kernel;
  note_choice_in_context(problem, 0, 0);
}

std::size_t TuningRun::note_tried(const std::vector<ChosenKernel>& kernels) {
  if (const auto known = tried_.find(kernels, variant_)) return *known;
  const Plan plan = finished(make_plan(kernels, variant_.first_share), kernels, variant_);
  const double latency_us = timer_ ? timer_->measure(plan, kPlanRule).median_us : plan.figures.latency_us;
  return tried_.note(kernels, variant_, plan, latency_us);
}

void TuningRun::note_leaner_plan() {
  show("choose", "a plan of less memory", true);
  std::vector<std::vector<ChosenKernel>> finalists;
  for (const auto& tuner : tuners_)
    for (finalists.emplace_back(); const KernelWinner& finalist : tuner->finalists())
      finalists.back().push_back(finalist.kernel);
  const std::vector<ChosenKernel> lean = leanest_kernels(
      chosen_, finalists,
      [this](std::size_t problem, const ChosenKernel& kernel) { return scratch_bytes(problem, kernel); });
  const auto bytes_of = [&](const std::vector<ChosenKernel>& kernels) {
    return plan_memory_bytes(make_plan(kernels, variant_.first_share));
  };
  if (bytes_of(lean) < bytes_of(chosen_)) note_tried(lean);
}

std::int64_t TuningRun::scratch_bytes(std::size_t problem, const ChosenKernel& kernel) const {
  const KernelCandidate candidate =
      make_candidate(lowering_.groups[problems_.group[problem]].spec, kernel.tile, request_.device);
  return candidate.workspace_bytes + candidate.counter_count * std::int64_t{sizeof(std::uint32_t)};
}

void TuningRun::measure_energies(std::size_t fastest) {
  if (!timer_ || device_->energy_counter() == nullptr) return;
  const auto start = Clock::now();
  for (const std::size_t place : tried_.worth_measuring(fastest, request_.goal.objective)) {
    const bool in_time = request_.budget_s <= 0 || seconds_since(start_) < request_.budget_s;
    if (stopped() || (!in_time && request_.goal.objective != Objective::energy)) break;
    show("measure", "the energy of whole plans", true);
    measure_energy_of(tried_.at(place));
  }
  counts_.measure_s += seconds_since(start);
}

void TuningRun::measure_energy_of(TriedPlan& tried) {
  const Plan plan = finished(make_plan(tried.kernels, tried.variant.first_share), tried.kernels, tried.variant);
  try {
    tried.point.energy_mj = timer_->energy_mj(plan, tried.point.latency_us, request_.energy_s).value_or(0);
    log_at(1, "{}: {:.3f} mJ a run", tried.point.schedule, tried.point.energy_mj);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::device) throw;
    warn("the energy of a plan is not known: {}", error.what());
  }
}

void TuningRun::note_stop() {
  report_.interrupted = stopped();
  if (timer_ && stopped() && !cut_) cut_ = {.by = ScheduleCut::By::stop};
}

void TuningRun::note_result() {
  PlanFigures& figures = report_.plan.figures;
  PlanPoint& point = tried_.at(tried_.note(chosen_, variant_, report_.plan, figures.latency_us)).point;
  point.chosen = true;
  report_.point = point;
  report_.points = points_worth_keeping(tried_.points());
  report_.goal_met = limit_ratio(request_.goal, point) <= 1;
  figures.energy_mj = point.energy_mj;
  figures.objective = recorded_goal(request_.goal, report_.goal_met);
}

bool TuningRun::same_goal(const Plan& stored) const {
  const std::string& objective = stored.figures.objective;
  return objective == recorded_goal(request_.goal, true) || objective == recorded_goal(request_.goal, false);
}

void TuningRun::note_stored_result() {
  const PlanFigures& figures = report_.plan.figures;
  report_.point = {.provenance = report_.plan.provenance,
                   .latency_us = figures.latency_us,
                   .energy_mj = figures.energy_mj,
                   .memory_bytes = plan_memory_bytes(report_.plan),
                   .chosen = true};
  report_.goal_met = limit_ratio(request_.goal, report_.point) <= 1;
}

}  // namespace duet
