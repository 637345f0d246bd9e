// Which stored plan serves a key best, and why. Pure: decides on summaries alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/plan_store.h"

namespace duet {

struct MatchedPlan {
  MatchKind kind = MatchKind::none;
  std::string why{};  // one sentence
  std::int64_t id = 0;
};

// In order: the same key; the same module in another mode; another batch there; another device. Model, graph, precision
// and variant must always be the same.
MatchedPlan match_plan(const PlanKey& key, const std::vector<PlanSummary>& stored);

}  // namespace duet
