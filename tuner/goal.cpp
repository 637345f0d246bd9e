#include "tuner/goal.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.h"

namespace duet {
namespace {

constexpr std::array<Objective, 3> kObjectives = {Objective::latency, Objective::energy, Objective::memory};
constexpr double kEnergyTie = 0.02;

double megabytes(std::uint64_t bytes) { return static_cast<double>(bytes) / 1e6; }

double value_of(Objective objective, const PlanPoint& point) {
  switch (objective) {
    case Objective::latency:
      return point.latency_us;
    case Objective::energy:
      return point.energy_mj;
    case Objective::memory:
      return static_cast<double>(point.memory_bytes);
  }
  return 0;
}

// Places of the points that may be chosen: with a value, and within the limits where `within` says so.
std::vector<std::size_t> contenders(const Goal& goal, std::span<const PlanPoint> points, bool within) {
  const auto known = [&](const PlanPoint& point) { return value_of(goal.objective, point) > 0; };
  const bool any_known = std::any_of(points.begin(), points.end(), known);
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < points.size(); ++i)
    if ((known(points[i]) || !any_known) && (!within || limit_ratio(goal, points[i]) <= 1)) places.push_back(i);
  return places;
}

std::size_t best_of(const Goal& goal, std::span<const PlanPoint> points, const std::vector<std::size_t>& places) {
  const auto value = [&](std::size_t place) { return value_of(goal.objective, points[place]); };
  const std::size_t least = *std::min_element(places.begin(), places.end(),
                                              [&](std::size_t a, std::size_t b) { return value(a) < value(b); });
  const double tie = goal.objective == Objective::energy ? kEnergyTie : 0;
  std::size_t best = least;
  for (const std::size_t place : places)
    if (value(place) <= value(least) * (1 + tie) && points[place].latency_us < points[best].latency_us) best = place;
  return best;
}

}  // namespace

std::string_view objective_name(Objective objective) {
  switch (objective) {
    case Objective::latency:
      return "latency";
    case Objective::energy:
      return "energy";
    case Objective::memory:
      return "memory";
  }
  return "unknown";
}

std::vector<std::string> objective_names() {
  std::vector<std::string> names;
  for (const Objective objective : kObjectives) names.emplace_back(objective_name(objective));
  return names;
}

Objective parse_objective(const std::string& name) {
  for (const Objective objective : kObjectives)
    if (name == objective_name(objective)) return objective;
  fail(ErrorKind::usage, "no objective is '{}'; use one of {}", name, fmt::join(objective_names(), ", "));
}

std::string goal_text(const Goal& goal) {
  if (goal == Goal{}) return "";
  std::string text = fmt::format("least {}", objective_name(goal.objective));
  if (goal.max_latency_us > 0) text += fmt::format(", latency <= {:g} us", goal.max_latency_us);
  if (goal.max_memory_bytes > 0) text += fmt::format(", memory <= {:g} MB", megabytes(goal.max_memory_bytes));
  return text;
}

std::string recorded_goal(const Goal& goal, bool met) { return goal_text(goal) + (met ? "" : ", not met"); }

double limit_ratio(const Goal& goal, const PlanPoint& point) {
  double ratio = 0;
  if (goal.max_latency_us > 0) ratio = std::max(ratio, point.latency_us / goal.max_latency_us);
  if (goal.max_memory_bytes > 0)
    ratio = std::max(ratio, megabytes(point.memory_bytes) / megabytes(goal.max_memory_bytes));
  return ratio;
}

GoalChoice choose_point(const Goal& goal, std::span<const PlanPoint> points) {
  if (points.empty()) fail(ErrorKind::internal, "no plan was tried that could be chosen");
  if (const std::vector<std::size_t> within = contenders(goal, points, true); !within.empty())
    return {.index = best_of(goal, points, within), .met = true};
  const std::vector<std::size_t> all = contenders(goal, points, false);
  const std::size_t nearest = *std::min_element(all.begin(), all.end(), [&](std::size_t a, std::size_t b) {
    return limit_ratio(goal, points[a]) < limit_ratio(goal, points[b]);
  });
  return {.index = nearest, .met = false};
}

std::string miss_text(const Goal& goal, const PlanPoint& point) {
  std::vector<std::string> misses;
  if (goal.max_latency_us > 0 && point.latency_us > goal.max_latency_us)
    misses.push_back(fmt::format("latency {:.1f} us > {:g} us", point.latency_us, goal.max_latency_us));
  if (goal.max_memory_bytes > 0 && point.memory_bytes > goal.max_memory_bytes)
    misses.push_back(
        fmt::format("memory {:.2f} MB > {:g} MB", megabytes(point.memory_bytes), megabytes(goal.max_memory_bytes)));
  return fmt::format("{}", fmt::join(misses, ", "));
}

void require_meter(const Goal& goal, const Device* device, std::string_view target) {
  if (goal.objective != Objective::energy) return;
  if (device != nullptr && device->info().can_measure && device->energy_counter()) return;
  fail(ErrorKind::missing,
       "the objective energy needs a meter, and '{}' has none that can be read here (NVML's counter of a GPU, or a "
       "Jetson's power rails; see `duet doctor`): tune for latency or memory",
       target);
}

}  // namespace duet
