#include "cli/plan_diff_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace duet {
namespace {

void print_properties(const std::vector<PlanProperty>& properties) {
  std::vector<std::string> equal;
  for (const PlanProperty& property : properties) {
    if (property.equal()) {
      equal.push_back(property.name);
    } else {
      fmt::print("  {:<18}{} | {}\n", property.name, property.a.empty() ? "-" : property.a,
                 property.b.empty() ? "-" : property.b);
    }
  }
  if (!equal.empty()) fmt::print("  equal: {}\n", fmt::join(equal, ", "));
}

std::string time_text(double us, bool measured) {
  return us > 0 ? fmt::format("{:.2f} us {}", us, measured ? "measured" : "predicted") : "-";
}

std::string side_text(const std::vector<std::string>& tiles, int steps, double us, bool measured) {
  if (steps == 0) return "none";
  return fmt::format("x{} {}, {}", steps, fmt::join(tiles, " / "), time_text(us, measured));
}

void print_steps(const std::vector<PlanStepGroup>& groups) {
  int equal = 0;
  for (const PlanStepGroup& group : groups) {
    if (group.equal()) {
      ++equal;
      continue;
    }
    fmt::print("  {}\n    < {}\n    > {}\n", group.name,
               side_text(group.tiles_a, group.steps_a, group.us_a, group.measured_a),
               side_text(group.tiles_b, group.steps_b, group.us_b, group.measured_b));
  }
  fmt::print("  equal: {} of {}\n", equal, groups.size());
}

std::string latency_text(const Plan& plan) {
  return time_text(plan.figures.latency_us, plan.provenance == Provenance::measured);
}

nlohmann::json properties_json(const std::vector<PlanProperty>& properties) {
  nlohmann::json out = nlohmann::json::object();
  for (const PlanProperty& property : properties)
    out[property.name] = {{"a", property.a}, {"b", property.b}, {"equal", property.equal()}};
  return out;
}

nlohmann::json side_json(const std::vector<std::string>& tiles, int steps, double us, bool measured) {
  return {{"tiles", tiles}, {"steps", steps}, {"us", us}, {"measured", measured}};
}

}  // namespace

void print_diff(const PlanDiff& diff, const Plan& a, const Plan& b) {
  fmt::print("for\n");
  print_properties(diff.conditions);
  fmt::print("schedule\n");
  print_properties(diff.schedule);
  fmt::print("steps\n");
  print_steps(diff.steps);
  fmt::print("end to end\n  {} | {}\n", latency_text(a), latency_text(b));
  fmt::print("{}\n", diff.equal() ? "the same kernels in the same schedule" : "the plans differ");
}

nlohmann::json diff_json(const PlanDiff& diff, const Plan& a, const Plan& b) {
  nlohmann::json steps = nlohmann::json::array();
  for (const PlanStepGroup& group : diff.steps)
    steps.push_back({{"name", group.name},
                     {"equal", group.equal()},
                     {"a", side_json(group.tiles_a, group.steps_a, group.us_a, group.measured_a)},
                     {"b", side_json(group.tiles_b, group.steps_b, group.us_b, group.measured_b)}});
  return {{"equal", diff.equal()},
          {"conditions", properties_json(diff.conditions)},
          {"schedule", properties_json(diff.schedule)},
          {"steps", steps},
          {"latency_us", {{"a", a.figures.latency_us}, {"b", b.figures.latency_us}}}};
}

}  // namespace duet
