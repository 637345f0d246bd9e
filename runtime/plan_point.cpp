#include "runtime/plan_point.h"

#include <algorithm>

namespace duet {
namespace {

bool no_more_energy(const PlanPoint& a, const PlanPoint& b) {
  return b.energy_mj <= 0 || (a.energy_mj > 0 && a.energy_mj <= b.energy_mj);
}

bool no_worse(const PlanPoint& a, const PlanPoint& b) {
  return a.latency_us <= b.latency_us && a.memory_bytes <= b.memory_bytes && no_more_energy(a, b);
}

}  // namespace

bool dominates(const PlanPoint& a, const PlanPoint& b) { return no_worse(a, b) && !no_worse(b, a); }

std::vector<bool> pareto_marks(const std::vector<PlanPoint>& points) {
  std::vector<bool> marks(points.size(), true);
  for (std::size_t i = 0; i < points.size(); ++i)
    for (std::size_t other = 0; other < points.size(); ++other)
      if (dominates(points[other], points[i]) || (other < i && no_worse(points[other], points[i]))) marks[i] = false;
  return marks;
}

std::vector<PlanPoint> points_worth_keeping(const std::vector<PlanPoint>& points) {
  const std::vector<bool> marks = pareto_marks(points);
  std::vector<PlanPoint> kept;
  for (std::size_t i = 0; i < points.size(); ++i)
    if (marks[i] || points[i].chosen) kept.push_back(points[i]);
  std::stable_sort(kept.begin(), kept.end(),
                   [](const PlanPoint& a, const PlanPoint& b) { return a.latency_us < b.latency_us; });
  return kept;
}

}  // namespace duet
