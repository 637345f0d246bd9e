#include "runtime/plan_match.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "runtime/plan_rank.h"

namespace duet {
namespace {

bool same_computation(const PlanKey& a, const PlanKey& b) {
  return a.model == b.model && a.graph_hash == b.graph_hash && a.precision == b.precision && a.variant == b.variant;
}

// In what a plan differs from what is asked; empty when in nothing.
std::string differences(const PlanKey& made_for, const PlanKey& wanted) {
  std::vector<std::string> list;
  if (made_for.graph_hash != wanted.graph_hash) list.push_back("another version of the graph");
  if (made_for.precision != wanted.precision)
    list.push_back(fmt::format("{} instead of {}", dtype_name(made_for.precision), dtype_name(wanted.precision)));
  if (made_for.variant != wanted.variant)
    list.push_back(fmt::format("variant {} instead of {}", made_for.variant, wanted.variant));
  if (made_for.batch != wanted.batch)
    list.push_back(fmt::format("batch {} instead of {}", made_for.batch, wanted.batch));
  return device_differences(made_for.device, wanted.device, list);
}

std::string reason(const PlanKey& key, const std::vector<PlanSummary>& of_model) {
  const auto any = [&](auto holds) { return std::any_of(of_model.begin(), of_model.end(), holds); };
  if (!any([&](const auto& s) { return s.key.graph_hash == key.graph_hash; }))
    return fmt::format("every plan of '{}' is for another version of its graph", key.model);
  if (!any([&](const auto& s) { return s.key.graph_hash == key.graph_hash && s.key.precision == key.precision; }))
    return fmt::format("no plan of '{}' has precision {}", key.model, dtype_name(key.precision));
  return fmt::format("no plan of '{}' in {} is of variant '{}'", key.model, dtype_name(key.precision), key.variant);
}

std::string why_none(const PlanKey& key, const std::vector<PlanSummary>& stored) {
  if (stored.empty()) return "the store holds no plan";
  std::vector<PlanSummary> of_model;
  std::copy_if(stored.begin(), stored.end(), std::back_inserter(of_model),
               [&](const PlanSummary& plan) { return plan.key.model == key.model; });
  if (of_model.empty()) return fmt::format("no plan is for model '{}'", key.model);
  const PlanSummary* nearest = nearest_plan(of_model, key.device, key.batch, [](const PlanSummary&) { return true; });
  return fmt::format("{}; the nearest is plan {}: {}", reason(key, of_model), nearest->id,
                     differences(nearest->key, key));
}

MatchKind kind_of(const PlanKey& made_for, const PlanKey& wanted) {
  if (!same_module(made_for.device, wanted.device)) return MatchKind::other_device;
  if (made_for.batch != wanted.batch) return MatchKind::other_batch;
  return made_for.device == wanted.device ? MatchKind::exact : MatchKind::other_mode;
}

}  // namespace

MatchedPlan match_plan(const PlanKey& key, const std::vector<PlanSummary>& stored) {
  const PlanSummary* found = nearest_plan(stored, key.device, key.batch,
                                          [&](const PlanSummary& plan) { return same_computation(plan.key, key); });
  if (found == nullptr) return {.kind = MatchKind::none, .why = why_none(key, stored)};
  const MatchKind kind = kind_of(found->key, key);
  return {.kind = kind,
          .why = kind == MatchKind::exact ? "same model, batch and device" : differences(found->key, key),
          .id = found->id};
}

bool fits_here(MatchKind kind) { return kind == MatchKind::exact || kind == MatchKind::other_mode; }

std::vector<std::string> variants_here(PlanKey key, const std::vector<PlanSummary>& stored,
                                       std::span<const std::string> variants) {
  std::vector<std::string> here;
  for (const std::string& variant : variants) {
    key.variant = variant;
    if (fits_here(match_plan(key, stored).kind)) here.push_back(variant);
  }
  return here;
}

}  // namespace duet
