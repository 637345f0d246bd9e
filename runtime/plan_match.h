// Which stored plan serves a key best, and why. Pure: decides on summaries alone.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/plan_store.h"

namespace duet {

struct MatchedPlan {
  MatchKind kind = MatchKind::none;
  std::string why{};  // one sentence
  std::int64_t id = 0;
};

// The nearest (plan_rank.h) of those of the same model, graph, precision and variant, and in what it differs: nothing;
// the mode of the module; the batch; the device.
MatchedPlan match_plan(const PlanKey& key, const std::vector<PlanSummary>& stored);
// Whether a plan so matched is for this device and batch, in whatever mode.
bool fits_here(MatchKind kind);
// Of these variants, in their order, those of which there is a plan that fits the key's device and batch.
std::vector<std::string> variants_here(PlanKey key, const std::vector<PlanSummary>& stored,
                                       std::span<const std::string> variants);

}  // namespace duet
