// `duet plans diff`: two plans side by side, as a table or as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "runtime/plan.h"
#include "runtime/plan_diff.h"

namespace duet {

void print_diff(const PlanDiff& diff, const Plan& a, const Plan& b);
nlohmann::json diff_json(const PlanDiff& diff, const Plan& a, const Plan& b);

}  // namespace duet
