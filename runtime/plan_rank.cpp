#include "runtime/plan_rank.h"

#include <fmt/format.h>

#include <cstdlib>
#include <limits>
#include <string_view>
#include <tuple>

namespace duet {
namespace {

// nvpmodel names a mode alike before and after the Super firmware, device files do not: there the clock tells.
bool same_power_mode(const DeviceFingerprint& a, const DeviceFingerprint& b) {
  if (a.power_mode == b.power_mode) return true;
  constexpr std::string_view kSuper = "_SUPER";
  constexpr int kClockToleranceMhz = 10;  // clocks are rounded on the way from a data sheet to sysfs
  const auto plain = [&](std::string_view name) {
    return name.ends_with(kSuper) ? name.substr(0, name.size() - kSuper.size()) : name;
  };
  return plain(a.power_mode) == plain(b.power_mode) && std::abs(a.sm_clock_mhz - b.sm_clock_mhz) <= kClockToleranceMhz;
}

// Smaller is better in every place.
auto rank(const PlanSummary& plan, const DeviceFingerprint& device, int batch) {
  const DeviceFingerprint& made_for = plan.key.device;
  return std::tuple(made_for.arch != device.arch, !same_module(made_for, device),
                    std::abs(std::int64_t{plan.key.batch} - batch),
                    std::abs(std::int64_t{made_for.sm_count} - device.sm_count), !same_power_mode(made_for, device),
                    mode_differences(made_for, device).size(), -static_cast<int>(plan.provenance), !plan.preferred,
                    plan.latency_us > 0 ? plan.latency_us : std::numeric_limits<double>::infinity(), -plan.id);
}

}  // namespace

bool same_module(const DeviceFingerprint& a, const DeviceFingerprint& b) {
  return a.module == b.module && a.arch == b.arch;
}

std::vector<std::string> mode_differences(const DeviceFingerprint& made_for, const DeviceFingerprint& wanted) {
  std::vector<std::string> differences;
  const auto compare = [&](std::string_view what, const auto& a, const auto& b, std::string_view unit = "") {
    if (a != b) differences.push_back(fmt::format("{} {}{} instead of {}{}", what, a, unit, b, unit));
  };
  if (!same_power_mode(made_for, wanted)) compare("power mode", made_for.power_mode, wanted.power_mode);
  compare("SM count", made_for.sm_count, wanted.sm_count);
  compare("SM clock", made_for.sm_clock_mhz, wanted.sm_clock_mhz, " MHz");
  compare("memory clock", made_for.memory_clock_mhz, wanted.memory_clock_mhz, " MHz");
  compare("L2 size", made_for.l2_bytes, wanted.l2_bytes, " bytes");
  compare("driver", made_for.driver_version, wanted.driver_version);
  compare("target", made_for.target, wanted.target);
  return differences;
}

std::string device_differences(const DeviceFingerprint& made_for, const DeviceFingerprint& wanted,
                               std::vector<std::string> first) {
  const bool same = same_module(made_for, wanted);
  if (same)
    for (std::string& difference : mode_differences(made_for, wanted)) first.push_back(std::move(difference));
  if (same && first.empty()) return "";
  first.insert(first.begin(), same ? std::string("same module")
                                   : fmt::format("made for {} ({}) instead of {} ({})", made_for.module, made_for.arch,
                                                 wanted.module, wanted.arch));
  return fmt::format("{}", fmt::join(first, ", "));
}

const PlanSummary* nearest_plan(std::span<const PlanSummary> plans, const DeviceFingerprint& device, int batch,
                                const std::function<bool(const PlanSummary&)>& qualifies) {
  const PlanSummary* best = nullptr;
  for (const PlanSummary& plan : plans) {
    if (qualifies(plan) && (best == nullptr || rank(plan, device, batch) < rank(*best, device, batch))) best = &plan;
  }
  return best;
}

}  // namespace duet
