#include "cli/warm_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "tuner/stats.h"

namespace duet {

nlohmann::json warm_json(std::span<const WarmOutcome> outcomes) {
  nlohmann::json out = nlohmann::json::array();
  for (const WarmOutcome& o : outcomes)
    out.push_back({{"problem", o.problem},
                   {"from_device", o.from_device},
                   {"from_problem", o.from_problem},
                   {"candidates", o.candidates},
                   {"best_first_us", o.best_first_us},
                   {"best_us", o.best_us},
                   {"regret", o.regret()}});
  return out;
}

std::string warm_text(std::span<const WarmOutcome> outcomes) {
  constexpr double kPercent = 100;
  std::vector<double> regrets;
  int candidates = 0;
  for (const WarmOutcome& outcome : outcomes) {
    regrets.push_back(outcome.regret());
    candidates += outcome.candidates;
  }
  return fmt::format(
      "warm start: {} kernels, {} candidates first; the best of them {:.1f}% above the search's best (median), {:.1f}% "
      "at most",
      outcomes.size(), candidates, kPercent * median(regrets), kPercent * percentile(regrets, 1));
}

}  // namespace duet
