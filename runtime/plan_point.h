// What one tried plan costs, and which of several are worth having: those that no other betters at no price.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/plan.h"

namespace duet {

struct PlanPoint {
  std::string schedule{};  // "early launches, no prefetch, by turns; 2 kernels chosen in the whole plan"
  Provenance provenance = Provenance::predicted;  // of the latency
  double latency_us = 0;
  double energy_mj = 0;            // of a run, back to back; 0: not measured
  std::uint64_t memory_bytes = 0;  // plan_memory_bytes()
  bool chosen = false;             // the plan that the run stored

  bool operator==(const PlanPoint&) const = default;
};

// At most as much of everything, and less of something. What was not measured is no advantage.
bool dominates(const PlanPoint& a, const PlanPoint& b);
// Whether a point is in the Pareto set, by place; of equal points the first is.
std::vector<bool> pareto_marks(const std::vector<PlanPoint>& points);
// The Pareto set and the chosen point, fastest first.
std::vector<PlanPoint> points_worth_keeping(const std::vector<PlanPoint>& points);

}  // namespace duet
