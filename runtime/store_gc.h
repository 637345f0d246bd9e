// What of a plan store is no longer needed. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/plan_store.h"

namespace duet {

// Plans that a newer one has taken the place of, though their key differs: another version of the graph, another
// driver. The newer one is of the same model, batch, precision, variant and device, and at least as firm.
std::vector<PlanSummary> superseded_plans(const std::vector<PlanSummary>& plans);

}  // namespace duet
