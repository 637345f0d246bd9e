// The trade between latency, memory and energy, of the plans that tuning tried: `duet plans pareto`, `duet tune`.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "runtime/plan_store.h"

namespace duet {

struct ParetoRow {
  std::string variant{};
  PlanPoint point{};
  bool in_set = true;  // else it is the plan that a run stored, and a tie beats it
};

// Of one device, batch and precision, and one length of texts: plans that can take each other's place.
struct ParetoGroup {
  std::string model{}, device{}, precision{};
  int batch = 0, text_length = 0;
  Provenance provenance = Provenance::predicted;
  std::vector<ParetoRow> rows{};  // fastest first
};

// By the last run of each variant that kept its points; the baseline is none of the choices. In the order of the runs.
std::vector<ParetoGroup> pareto_groups(const std::vector<SessionRecord>& sessions, const std::string& model);
std::string pareto_text(const ParetoGroup& group);  // lines
nlohmann::json pareto_json(const std::vector<ParetoGroup>& groups);

}  // namespace duet
