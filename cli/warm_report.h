// What a warm start was worth, for people and as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "tuner/warm_start.h"

namespace duet {

nlohmann::json warm_json(std::span<const WarmOutcome> outcomes);
// "warm start: 12 kernels, 57 candidates first; the best of them 0.8% above the search's best (median), 6.1% at most"
std::string warm_text(std::span<const WarmOutcome> outcomes);

}  // namespace duet
