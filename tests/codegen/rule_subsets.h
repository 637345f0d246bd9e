// Every combination of the fusion rules, for properties that must hold whichever are on.
#pragma once

#include <vector>

#include "codegen/fusion.h"

namespace duet::testing {

inline std::vector<FusionRules> all_rule_subsets() {
  const std::vector<std::string_view> names = fusion_rule_names();
  std::vector<FusionRules> subsets;
  for (unsigned mask = 0; mask < 1u << names.size(); ++mask) {
    FusionRules rules;
    for (std::size_t i = 0; i < names.size(); ++i) set_fusion_rule(rules, names[i], (mask >> i & 1u) != 0);
    subsets.push_back(rules);
  }
  return subsets;
}

}  // namespace duet::testing
