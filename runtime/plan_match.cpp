#include "runtime/plan_match.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <tuple>

namespace duet {
namespace {

bool same_computation(const PlanKey& a, const PlanKey& b) {
  return a.model == b.model && a.graph_hash == b.graph_hash && a.precision == b.precision && a.variant == b.variant;
}

bool same_module(const DeviceFingerprint& a, const DeviceFingerprint& b) {
  return a.module == b.module && a.arch == b.arch;
}

// "power mode 15W instead of 25W", for each thing in which the stored device differs from the wanted one.
std::vector<std::string> mode_differences(const DeviceFingerprint& stored, const DeviceFingerprint& wanted) {
  std::vector<std::string> differences;
  const auto compare = [&](std::string_view what, const auto& a, const auto& b, std::string_view unit = "") {
    if (a != b) differences.push_back(fmt::format("{} {}{} instead of {}{}", what, a, unit, b, unit));
  };
  compare("power mode", stored.power_mode, wanted.power_mode);
  compare("SM count", stored.sm_count, wanted.sm_count);
  compare("SM clock", stored.sm_clock_mhz, wanted.sm_clock_mhz, " MHz");
  compare("memory clock", stored.memory_clock_mhz, wanted.memory_clock_mhz, " MHz");
  compare("L2 size", stored.l2_bytes, wanted.l2_bytes, " bytes");
  compare("driver", stored.driver_version, wanted.driver_version);
  compare("target", stored.target, wanted.target);
  return differences;
}

// The best of those that qualify: least rank, then the firmest provenance, then the newest.
template <typename Qualifies, typename Rank>
const PlanSummary* best_of(const std::vector<PlanSummary>& stored, Qualifies qualifies, Rank rank) {
  const PlanSummary* best = nullptr;
  const auto order = [&](const PlanSummary& summary) {
    return std::tuple(rank(summary), -static_cast<int>(summary.provenance), -summary.id);
  };
  for (const PlanSummary& summary : stored)
    if (qualifies(summary) && (best == nullptr || order(summary) < order(*best))) best = &summary;
  return best;
}

std::string why_none(const PlanKey& key, const std::vector<PlanSummary>& stored) {
  const auto any = [&](auto holds) { return std::any_of(stored.begin(), stored.end(), holds); };
  if (stored.empty()) return "the store holds no plan";
  if (!any([&](const auto& s) { return s.key.model == key.model; }))
    return fmt::format("no plan is for model '{}'", key.model);
  if (!any([&](const auto& s) { return s.key.model == key.model && s.key.graph_hash == key.graph_hash; }))
    return fmt::format("every plan of '{}' is for another version of its graph", key.model);
  if (!any([&](const auto& s) {
        return s.key.model == key.model && s.key.graph_hash == key.graph_hash && s.key.precision == key.precision;
      }))
    return fmt::format("no plan of '{}' has precision {}", key.model, dtype_name(key.precision));
  return fmt::format("no plan of '{}' in {} is of variant '{}'", key.model, dtype_name(key.precision), key.variant);
}

}  // namespace

MatchedPlan match_plan(const PlanKey& key, const std::vector<PlanSummary>& stored) {
  const DeviceFingerprint& device = key.device;
  const auto differences = [&](const PlanSummary& s) { return mode_differences(s.key.device, device).size(); };
  const auto here = [&](const PlanSummary& s) {
    return same_computation(s.key, key) && same_module(s.key.device, device);
  };

  const auto same_batch_here = [&](const PlanSummary& s) { return here(s) && s.key.batch == key.batch; };
  if (const PlanSummary* found = best_of(stored, same_batch_here, differences)) {
    const std::vector<std::string> list = mode_differences(found->key.device, device);
    if (list.empty()) return {.kind = MatchKind::exact, .why = "same model, batch and device", .id = found->id};
    return {
        .kind = MatchKind::other_mode, .why = fmt::format("same module, {}", fmt::join(list, ", ")), .id = found->id};
  }

  const auto batch_distance = [&](const PlanSummary& s) {
    return std::tuple(std::abs(std::int64_t{s.key.batch} - key.batch), differences(s));
  };
  if (const PlanSummary* found = best_of(stored, here, batch_distance))
    return {.kind = MatchKind::other_batch,
            .why = fmt::format("same module, batch {} instead of {}", found->key.batch, key.batch),
            .id = found->id};

  const auto elsewhere = [&](const PlanSummary& s) { return same_computation(s.key, key); };
  const auto device_distance = [&](const PlanSummary& s) {
    return std::tuple(s.key.device.arch != device.arch, s.key.batch != key.batch,
                      std::abs(std::int64_t{s.key.device.sm_count} - device.sm_count));
  };
  if (const PlanSummary* found = best_of(stored, elsewhere, device_distance)) {
    const PlanKey& other = found->key;
    std::string why = fmt::format("made for {} ({}) instead of {} ({})", other.device.module, other.device.arch,
                                  device.module, device.arch);
    if (other.batch != key.batch) why += fmt::format(", batch {} instead of {}", other.batch, key.batch);
    return {.kind = MatchKind::other_device, .why = std::move(why), .id = found->id};
  }
  return {.kind = MatchKind::none, .why = why_none(key, stored)};
}

}  // namespace duet
