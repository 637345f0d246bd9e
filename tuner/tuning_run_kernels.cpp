#include <algorithm>
#include <chrono>
#include <numeric>
#include <optional>
#include <span>

#include "base/error.h"
#include "tuner/budget.h"
#include "tuner/elapsed.h"
#include "tuner/tuning_run.h"

namespace duet {
namespace {

// What the schedule may take, unless it is told; of a run's budget, where it has one, and the kernels get the rest.
constexpr double kScheduleBudgetS = 25, kScheduleBudgetShare = 0.5;
// A kernel of less than an average share of the plan's time is given up at a gain as much higher, up to this.
constexpr double kMaxGainFactor = 10;
// Of a budget: less is not worth another search. And what the kernel of the largest gain gets at least of the rest.
constexpr double kLeastRest = 0.03, kLeastPart = 0.25;

}  // namespace

double TuningRun::time_in_plan_us(std::size_t problem) const {
  return tuners_[problem]->best_predicted_us() * problems_.uses[problem];
}

double TuningRun::known_time_in_plan_us(std::size_t problem) const {
  const std::optional<KernelWinner>& winner = tuners_[problem]->winner();
  return winner ? winner->time_us * problems_.uses[problem] : time_in_plan_us(problem);
}

std::vector<std::size_t> TuningRun::by_share() const {
  std::vector<std::size_t> order(tuners_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return time_in_plan_us(a) > time_in_plan_us(b); });
  return order;
}

double TuningRun::kernels_left_s() const {
  const double kernels_s = tools_.measurer != nullptr ? request_.budget_s - schedule_budget_s() : request_.budget_s;
  return std::max(0.0, kernels_s - seconds_since(start_));
}

TuningRun::Clock::time_point TuningRun::in_seconds(double seconds) {
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

std::optional<TuningRun::Clock::time_point> TuningRun::deadline(std::span<const std::size_t> problems_left,
                                                                double overrun_s) const {
  if (request_.budget_s <= 0) return std::nullopt;
  std::vector<double> times_us;
  for (const std::size_t problem : problems_left) times_us.push_back(time_in_plan_us(problem));
  return in_seconds(first_part_s(kernels_left_s(), times_us, overrun_s));
}

void TuningRun::tune_all() {
  const char* phase = tools_.measurer != nullptr ? "measure" : device_ != nullptr ? "verify" : "compile";
  const std::vector<std::size_t> order = by_share();
  double overruns_s = 0;  // of all so far
  for (std::size_t i = 0; i < order.size() && !stopped(); ++i) {
    KernelTuner& tuner = *tuners_[order[i]];
    progress_.best_us = 0;
    SearchLimits limits;
    limits.strategy = request_.strategy;
    limits.max_candidates = request_.max_candidates_per_kernel;
    limits.min_gain = min_gain(order[i]);
    limits.budget_s = request_.budget_s;
    limits.deadline = deadline(std::span(order).subspan(i), i > 0 ? overruns_s / static_cast<double>(i) : 0);
    // What was never tried would have no race to tell the next run by that nothing is left to do.
    limits.one_at_least = tools_.measurer != nullptr;
    limits.stop = stop_;
    show(phase, tuner.name(), true);
    tuner.tune(limits, on_candidate(tuner, phase));
    if (limits.deadline)
      overruns_s += std::max(0.0, std::chrono::duration<double>(Clock::now() - *limits.deadline).count());
    progress_.kernels_done = static_cast<int>(i) + 1;
    // Past a deadline, or where nothing was right, candidates may be left in the queue.
    if (pool_ && (limits.deadline || stopped())) pool_->drop_queued();
    require_winner(tuner, limits);
  }
  spend_rest(phase);
  report_.interrupted = stopped();
}

void TuningRun::spend_rest(const char* phase) {
  if (request_.budget_s <= 0 || tools_.measurer == nullptr) return;
  while (!stopped() && kernels_left_s() > kLeastRest * request_.budget_s) {
    std::vector<double> gains_us;
    for (std::size_t problem = 0; problem < tuners_.size(); ++problem) gains_us.push_back(gain_in_plan_us(problem));
    const auto largest = std::max_element(gains_us.begin(), gains_us.end());
    if (*largest <= 0) return;
    KernelTuner& tuner = *tuners_[static_cast<std::size_t>(largest - gains_us.begin())];
    const double part = *largest / std::accumulate(gains_us.begin(), gains_us.end(), 0.0);
    show(phase, tuner.name(), true);
    tuner.go_on(in_seconds(kernels_left_s() * std::max(part, kLeastPart)), on_candidate(tuner, phase));
    if (pool_) pool_->drop_queued();
  }
}

double TuningRun::gain_in_plan_us(std::size_t problem) const {
  const KernelTuner& tuner = *tuners_[problem];
  const double gain = tuner.expected_gain();
  return gain >= min_gain(problem) ? gain * known_time_in_plan_us(problem) : 0;
}

double TuningRun::min_gain(std::size_t problem) const {
  double sum_us = 0;
  for (std::size_t i = 0; i < tuners_.size(); ++i) sum_us += time_in_plan_us(i);
  const double average_us = sum_us / static_cast<double>(tuners_.size());
  const double own_us = time_in_plan_us(problem);
  return request_.min_gain * std::clamp(own_us > 0 ? average_us / own_us : 1.0, 1.0, kMaxGainFactor);
}

double TuningRun::schedule_budget_s() const {
  if (request_.schedule_budget_s > 0) return request_.schedule_budget_s;
  return request_.budget_s > 0 ? kScheduleBudgetShare * request_.budget_s : kScheduleBudgetS;
}

KernelTuner::OnCandidate TuningRun::on_candidate(const KernelTuner& tuner, const char* phase) {
  return [this, &tuner, phase](int done, int total) {
    progress_.candidates_done = done;
    progress_.candidates_total = total;
    progress_.best_us = tuner.winner() ? tuner.winner()->time_us : 0;
    show(phase, tuner.name(), false);
  };
}

void TuningRun::require_winner(const KernelTuner& tuner, const SearchLimits& limits) const {
  if (tuner.winner() || limits.deadline || stopped()) return;
  fail_without_winner(tuner);
}

void TuningRun::fail_without_winner(const KernelTuner& tuner) const {
  fail(ErrorKind::no_result, "kernel '{}' has no valid candidate on {}: {}", tuner.name(), request_.device.name,
       tuner.reasons());
}

void TuningRun::finish_untuned() {
  for (const auto& tuner : tuners_) {
    if (tuner->winner()) continue;
    SearchLimits limits;
    limits.first_valid = true;
    tuner->tune(limits, on_candidate(*tuner, "verify"));
    if (!tuner->winner()) fail_without_winner(*tuner);
  }
}

}  // namespace duet
