#include "cli/plan_why.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace duet {
namespace {

std::string counts_text(const std::map<std::string, int>& counts) {
  std::vector<std::string> texts;
  for (const auto& [what, count] : counts) texts.push_back(fmt::format("{} {}", count, what));
  return fmt::format("{}", fmt::join(texts, ", "));
}

std::string interval_text(const RecordedTime& time) {
  if (time.samples == 0) return "no samples";
  return fmt::format("{:.2f} to {:.2f}, {} samples", time.interval.low, time.interval.high, time.samples);
}

void print_time(std::string_view role, const RecordedTime& time, const std::string& against) {
  fmt::print("  {:<10}{:>10.2f}  {:<10} {:<34} {:<18} {}\n", role, time.time_us, provenance_name(time.provenance),
             interval_text(time), against, time.config);
}

std::string against_text(const RecordedTime& time) {
  return fmt::format("{:+.1f}%{}", 100 * time.slower, time.tie ? ", a tie" : "");
}

void print_context(const KernelChoice& choice) {
  if (choice.alone_plan_us <= 0) return;
  if (choice.alone_config == choice.config) {
    fmt::print("  in the whole plan no other made it faster ({:.1f} us with this one)\n", choice.chosen_plan_us);
  } else {
    fmt::print("  chosen in the whole plan: {:.1f} us with it, {:.1f} us with the fastest alone ({})\n",
               choice.chosen_plan_us, choice.alone_plan_us, choice.alone_config);
  }
}

void print_choice(const ChoiceReport& report) {
  fmt::print("{} (x{}): {}\n", report.steps, report.choice.steps.size(), report.choice.problem);
  if (report.chosen) {
    print_time("chosen", *report.chosen, "");
  } else {
    fmt::print("  {:<10}{} (its row is not in this store: a shipped file has none, and one taken unmeasured neither)\n",
               "chosen", report.choice.config);
  }
  for (const RecordedTime& time : report.runners_up) print_time("next", time, against_text(time));
  print_context(report.choice);
  int tried = 0;
  for (const auto& [status, count] : report.outcomes) tried += count;
  if (tried > 0) fmt::print("  tried {}: {}\n", tried, counts_text(report.outcomes));
  if (!report.infeasible.empty()) fmt::print("  cannot run: {}\n", counts_text(report.infeasible));
  fmt::print("\n");
}

bool holds(const ChoiceReport& report, const std::string& text) {
  const auto in = [&](const std::string& where) { return where.find(text) != std::string::npos; };
  return in(report.steps) || in(report.choice.problem) || in(report.choice.config);
}

nlohmann::json time_json(const RecordedTime& time) {
  nlohmann::json out{{"config", time.config},   {"provenance", provenance_name(time.provenance)},
                     {"time_us", time.time_us}, {"samples", time.samples},
                     {"slower", time.slower},   {"tie", time.tie}};
  if (time.samples > 0) out["interval_us"] = {time.interval.low, time.interval.high};
  return out;
}

nlohmann::json choice_json(const ChoiceReport& report) {
  const KernelChoice& choice = report.choice;
  nlohmann::json next = nlohmann::json::array();
  for (const RecordedTime& time : report.runners_up) next.push_back(time_json(time));
  nlohmann::json out{{"steps", report.steps},       {"uses", choice.steps.size()},    {"problem", choice.problem},
                     {"device", choice.device},     {"config", choice.config},        {"runners_up", next},
                     {"outcomes", report.outcomes}, {"infeasible", report.infeasible}};
  if (report.chosen) out["chosen"] = time_json(*report.chosen);
  if (report.alone) out["alone"] = time_json(*report.alone);
  if (choice.alone_plan_us > 0)
    out["in_context"] = {{"alone_config", choice.alone_config},
                         {"alone_plan_us", choice.alone_plan_us},
                         {"chosen_plan_us", choice.chosen_plan_us}};
  return out;
}

}  // namespace

std::vector<ChoiceReport> filter_choices(std::vector<ChoiceReport> reports, const std::string& text) {
  std::erase_if(reports, [&](const ChoiceReport& report) { return !holds(report, text); });
  return reports;
}

void print_choices(const std::vector<ChoiceReport>& reports) {
  fmt::print(
      "Times in us, alone, with the 95% interval of the median; a tie is one whose interval meets the chosen's.\n\n");
  for (const ChoiceReport& report : reports) print_choice(report);
}

nlohmann::json choices_json(const std::vector<ChoiceReport>& reports) {
  nlohmann::json out = nlohmann::json::array();
  for (const ChoiceReport& report : reports) out.push_back(choice_json(report));
  return out;
}

}  // namespace duet
