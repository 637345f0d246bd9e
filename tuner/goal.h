// What a run tunes for: the least of something, under limits. Pure.
//
//   const GoalChoice choice = choose_point({.objective = Objective::memory, .max_latency_us = 400}, points);
//   if (!choice.met) report(miss_text(goal, points[choice.index]));
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/device.h"
#include "runtime/plan_point.h"

namespace duet {

enum class Objective : int { latency, energy, memory };
std::string_view objective_name(Objective objective);
std::vector<std::string> objective_names();
// Throws Error(usage) for another name.
Objective parse_objective(const std::string& name);

struct Goal {
  Objective objective = Objective::latency;
  double max_latency_us = 0;           // 0: no limit
  std::uint64_t max_memory_bytes = 0;  // 0: no limit

  bool operator==(const Goal&) const = default;
};

// "least energy, latency <= 400 us, memory <= 200 MB"; empty for the least latency without limits.
std::string goal_text(const Goal& goal);
// The same as a plan keeps it: with ", not met" behind it where it was not.
std::string recorded_goal(const Goal& goal, bool met);

// How many times over its limit a point is where it is worst; at most 1 within the limits.
double limit_ratio(const Goal& goal, const PlanPoint& point);

struct GoalChoice {
  std::size_t index = 0;
  bool met = false;  // else no point is within the limits, and this one is nearest to them
};
// Of the points within the limits the best, which is the first of equal ones. Energies within 2% are equal (two
// measurements of one plan differ by as much), and of equal points the faster one is taken. Where energy is the
// objective, points without it count only if all are. `points` must not be empty.
GoalChoice choose_point(const Goal& goal, std::span<const PlanPoint> points);
// Which limits it is over: "memory 171.3 MB > 100.0 MB".
std::string miss_text(const Goal& goal, const PlanPoint& point);

// Throws Error(missing) where the goal is energy and the device, null for one that is not here, does not measure it.
void require_meter(const Goal& goal, const Device* device, std::string_view target);

}  // namespace duet
