#include "runtime/plan_match.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/plan_rank.h"

namespace duet {
namespace {

bool same_computation(const PlanKey& a, const PlanKey& b) {
  return a.model == b.model && a.graph_hash == b.graph_hash && a.precision == b.precision && a.variant == b.variant;
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
  const PlanSummary* found = nearest_plan(stored, key.device, key.batch,
                                          [&](const PlanSummary& plan) { return same_computation(plan.key, key); });
  if (found == nullptr) return {.kind = MatchKind::none, .why = why_none(key, stored)};
  const DeviceFingerprint &made_for = found->key.device, &device = key.device;
  const std::string batch = fmt::format("batch {} instead of {}", found->key.batch, key.batch);
  const bool other_batch = found->key.batch != key.batch;
  if (!same_module(made_for, device)) {
    return {.kind = MatchKind::other_device,
            .why = fmt::format("made for {} ({}) instead of {} ({}){}", made_for.module, made_for.arch, device.module,
                               device.arch, other_batch ? ", " + batch : ""),
            .id = found->id};
  }
  if (other_batch) return {.kind = MatchKind::other_batch, .why = "same module, " + batch, .id = found->id};
  const std::vector<std::string> list = mode_differences(made_for, device);
  if (list.empty()) return {.kind = MatchKind::exact, .why = "same model, batch and device", .id = found->id};
  return {.kind = MatchKind::other_mode, .why = fmt::format("same module, {}", fmt::join(list, ", ")), .id = found->id};
}

}  // namespace duet
