// `duet plans why`: each kernel's choice as a table, or as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "tuner/choice_report.h"

namespace duet {

// Keeps those whose problem, steps or chosen tile hold the text.
std::vector<ChoiceReport> filter_choices(std::vector<ChoiceReport> reports, const std::string& text);
void print_choices(const std::vector<ChoiceReport>& reports);
nlohmann::json choices_json(const std::vector<ChoiceReport>& reports);

}  // namespace duet
