#include "tuner/tried_plans.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "runtime/plan_memory.h"

namespace duet {
namespace {

constexpr std::size_t kMostMeasured = 6;

// Where nothing is measured, the launches are no choice.
std::string schedule_text(const ScheduleVariant& variant, const Plan& plan) {
  if (plan.provenance == Provenance::measured) return variant_text(variant);
  const std::string streams = describe_streams(plan);
  return streams.empty() ? "one stream" : streams;
}

std::string kernels_text(const std::vector<ChosenKernel>& kernels, const std::vector<ChosenKernel>& alone) {
  int others = 0;
  for (std::size_t i = 0; i < std::min(kernels.size(), alone.size()); ++i)
    if (!same_kernel(kernels[i], alone[i])) ++others;
  return others == 0 ? "" : fmt::format("; {} kernel{} not the fastest alone", others, others == 1 ? "" : "s");
}

}  // namespace

std::vector<ChosenKernel> leanest_kernels(
    const std::vector<ChosenKernel>& kernels, const std::vector<std::vector<ChosenKernel>>& alternatives,
    const std::function<std::int64_t(std::size_t problem, const ChosenKernel& kernel)>& scratch_bytes) {
  std::vector<ChosenKernel> lean = kernels;
  for (std::size_t problem = 0; problem < lean.size(); ++problem)
    for (const ChosenKernel& alternative : alternatives.at(problem))
      if (scratch_bytes(problem, alternative) < scratch_bytes(problem, lean[problem])) lean[problem] = alternative;
  return lean;
}

std::optional<std::size_t> TriedPlans::find(const std::vector<ChosenKernel>& kernels,
                                            const ScheduleVariant& variant) const {
  for (std::size_t place = 0; place < plans_.size(); ++place)
    if (plans_[place].variant == variant && same_kernels(plans_[place].kernels, kernels)) return place;
  return std::nullopt;
}

std::size_t TriedPlans::note(const std::vector<ChosenKernel>& kernels, const ScheduleVariant& variant, const Plan& plan,
                             double latency_us) {
  const std::size_t place = find(kernels, variant).value_or(plans_.size());
  if (place == plans_.size()) plans_.push_back({.kernels = kernels, .variant = variant, .point = {}});
  PlanPoint& point = plans_[place].point;
  point.schedule = schedule_text(variant, plan) + kernels_text(kernels, alone_);
  point.provenance = plan.provenance;
  point.latency_us = latency_us;
  point.memory_bytes = plan_memory_bytes(plan);
  return place;
}

std::vector<std::size_t> TriedPlans::worth_measuring(std::size_t first, Objective objective) const {
  const std::vector<bool> marks = pareto_marks(points());
  std::vector<std::size_t> order(plans_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if ((a == first) != (b == first)) return a == first;
    return plans_[a].point.latency_us < plans_[b].point.latency_us;
  });
  if (objective != Objective::energy) std::erase_if(order, [&](std::size_t i) { return i != first && !marks[i]; });
  if (order.size() > kMostMeasured) order.resize(kMostMeasured);
  return order;
}

std::vector<PlanPoint> TriedPlans::points() const {
  std::vector<PlanPoint> points;
  for (const TriedPlan& tried : plans_) points.push_back(tried.point);
  return points;
}

}  // namespace duet
