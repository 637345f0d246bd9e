#include "runtime/plan_diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "runtime/step_names.h"

namespace duet {
namespace {

template <typename Value>
void add(std::vector<PlanProperty>& properties, const char* name, const Value& a, const Value& b) {
  properties.push_back({.name = name, .a = fmt::format("{}", a), .b = fmt::format("{}", b)});
}

std::vector<PlanProperty> conditions_of(const Plan& a, const Plan& b) {
  const DeviceFingerprint &da = a.key.device, &db = b.key.device;
  std::vector<PlanProperty> properties;
  add(properties, "model", a.key.model, b.key.model);
  add(properties, "graph", a.key.graph_hash, b.key.graph_hash);
  add(properties, "batch", a.key.batch, b.key.batch);
  add(properties, "precision", dtype_name(a.key.precision), dtype_name(b.key.precision));
  add(properties, "variant", a.key.variant, b.key.variant);
  add(properties, "target", da.target, db.target);
  add(properties, "module", da.module, db.module);
  add(properties, "arch", da.arch, db.arch);
  add(properties, "SM count", da.sm_count, db.sm_count);
  add(properties, "SM clock MHz", da.sm_clock_mhz, db.sm_clock_mhz);
  add(properties, "memory clock MHz", da.memory_clock_mhz, db.memory_clock_mhz);
  add(properties, "L2 bytes", da.l2_bytes, db.l2_bytes);
  add(properties, "power mode", da.power_mode, db.power_mode);
  add(properties, "driver", da.driver_version, db.driver_version);
  add(properties, "provenance", provenance_name(a.provenance), provenance_name(b.provenance));
  return properties;
}

bool starts_early(const Plan& plan) {
  return std::any_of(plan.kernels.begin(), plan.kernels.end(), [](const auto& k) { return k.programmatic_launch; });
}

std::vector<PlanProperty> schedule_of(const Plan& a, const Plan& b) {
  std::vector<PlanProperty> properties;
  add(properties, "mode", execution_mode_name(a.mode), execution_mode_name(b.mode));
  add(properties, "streams", a.stream_count, b.stream_count);
  add(properties, "order and shares", describe_streams(a), describe_streams(b));
  add(properties, "launches", a.steps.size(), b.steps.size());
  add(properties, "kernels", a.kernels.size(), b.kernels.size());
  add(properties, "early launches", starts_early(a), starts_early(b));
  add(properties, "arena bytes", a.arena_bytes, b.arena_bytes);
  add(properties, "weight bytes", a.weight_bytes, b.weight_bytes);
  return properties;
}

struct Side {
  std::set<std::string> tiles{};
  int steps = 0, measured = 0;
  double measured_us = 0, predicted_us = 0;
};

Side side_of(const Plan& plan, const std::string& pattern) {
  Side side;
  for (const PlanStep& step : plan.steps) {
    if (layer_pattern(step.name) != pattern) continue;
    const PlanKernel& kernel = plan.kernels.at(static_cast<std::size_t>(step.kernel));
    side.tiles.insert(fmt::format("{} {}", kernel.family, kernel.config_text));
    ++side.steps;
    side.measured += step.measured_us > 0 ? 1 : 0;
    side.measured_us += step.measured_us;
    side.predicted_us += step.predicted_us;
  }
  return side;
}

PlanStepGroup compare_steps(const Plan& a, const Plan& b, const std::string& pattern) {
  const Side sa = side_of(a, pattern), sb = side_of(b, pattern);
  const auto measured = [](const Side& side) { return side.steps > 0 && side.measured == side.steps; };
  return {.name = pattern,
          .tiles_a = {sa.tiles.begin(), sa.tiles.end()},
          .tiles_b = {sb.tiles.begin(), sb.tiles.end()},
          .steps_a = sa.steps,
          .steps_b = sb.steps,
          .us_a = measured(sa) ? sa.measured_us : sa.predicted_us,
          .us_b = measured(sb) ? sb.measured_us : sb.predicted_us,
          .measured_a = measured(sa),
          .measured_b = measured(sb)};
}

}  // namespace

bool PlanDiff::equal() const {
  const auto same = [](const auto& item) { return item.equal(); };
  return std::all_of(schedule.begin(), schedule.end(), same) && std::all_of(steps.begin(), steps.end(), same);
}

PlanDiff diff_plans(const Plan& a, const Plan& b) {
  PlanDiff diff{.conditions = conditions_of(a, b), .schedule = schedule_of(a, b), .steps = {}};
  std::set<std::string> seen;
  for (const Plan* plan : {&a, &b})
    for (const PlanStep& step : plan->steps)
      if (const std::string pattern = layer_pattern(step.name); seen.insert(pattern).second)
        diff.steps.push_back(compare_steps(a, b, pattern));
  return diff;
}

}  // namespace duet
