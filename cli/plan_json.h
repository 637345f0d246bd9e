// Plans as JSON, for scripts: figures and steps, without images and weights.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "runtime/plan.h"
#include "runtime/plan_store.h"

namespace duet {

nlohmann::json plan_json(const Plan& plan);
nlohmann::json summary_json(const PlanSummary& summary);

}  // namespace duet
