// What came of the faults that `duet tune --drill-faults` planted.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "tuner/fault_drill.h"

namespace duet {

// A line for each kind: how many were tried, how many recorded as they must be, and one cause.
std::string drill_text(std::span<const DrillOutcome> outcomes);
// A list with problem, config, fault, status, cause, and whether that is as expected.
nlohmann::json drill_json(std::span<const DrillOutcome> outcomes);

}  // namespace duet
