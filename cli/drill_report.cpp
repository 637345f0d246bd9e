#include "cli/drill_report.h"

#include <fmt/format.h>

#include <map>

namespace duet {
namespace {

constexpr std::size_t kShownBytes = 160;

struct Kind {
  int tried = 0, as_expected = 0;
  const DrillOutcome* example = nullptr;  // one that is not as expected, where there is one
};

}  // namespace

std::string drill_text(std::span<const DrillOutcome> outcomes) {
  std::map<PlantedFault, Kind> kinds;
  for (const DrillOutcome& outcome : outcomes) {
    Kind& kind = kinds[outcome.fault];
    ++kind.tried;
    if (outcome.as_expected()) ++kind.as_expected;
    if (kind.example == nullptr || !outcome.as_expected()) kind.example = &outcome;
  }
  std::string text;
  for (const auto& [fault, kind] : kinds)
    text += fmt::format("drill: {}: {} tried, {} recorded as '{}'; {}: {}\n", planted_fault_name(fault), kind.tried,
                        kind.as_expected, expected_status(fault), kind.example->status,
                        kind.example->detail.substr(0, kShownBytes));
  return text;
}

nlohmann::json drill_json(std::span<const DrillOutcome> outcomes) {
  nlohmann::json list = nlohmann::json::array();
  for (const DrillOutcome& outcome : outcomes)
    list.push_back({{"problem", outcome.problem},
                    {"config", outcome.config},
                    {"fault", planted_fault_name(outcome.fault)},
                    {"status", outcome.status},
                    {"cause", outcome.detail},
                    {"as_expected", outcome.as_expected()}});
  return list;
}

}  // namespace duet
