#include "tuner/choice_report.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "runtime/step_names.h"
#include "tuner/candidate_log.h"
#include "tuner/race.h"
#include "tuner/search_mark.h"

namespace duet {
namespace {

// What was executed by the emulator, or on a GPU without being timed, has the model's time.
RecordedTime time_of(const CandidateRecord& record) {
  const bool timed = record.median_us > 0 && !record.samples_us.empty();
  const bool untimed = !timed && record.provenance == Provenance::measured;
  RecordedTime time{.config = record.config,
                    .provenance = untimed ? Provenance::predicted : record.provenance,
                    .time_us = timed ? record.median_us : record.predicted_us,
                    .samples = static_cast<int>(record.samples_us.size())};
  if (!timed)
    time.interval = {time.time_us, time.time_us};
  else if (parse_mark(record.detail))
    time.interval = interval_of_rounds(record.samples_us);
  else
    time.interval = median_interval(record.samples_us);
  return time;
}

bool has_samples(const RecordedTime& time) { return time.samples > 0; }

void compare(RecordedTime& other, const RecordedTime& chosen) {
  if (chosen.time_us > 0) other.slower = other.time_us / chosen.time_us - 1;
  other.tie = has_samples(other) && has_samples(chosen) && overlap(other.interval, chosen.interval);
}

// The last outcome of each tile.
std::map<std::string, CandidateRecord> by_config(std::vector<CandidateRecord> records) {
  std::map<std::string, CandidateRecord> last;
  for (CandidateRecord& record : records) {
    std::string config = record.config;
    last.insert_or_assign(std::move(config), std::move(record));
  }
  return last;
}

std::string step_pattern(const Plan& plan, const KernelChoice& choice) {
  std::vector<std::string> patterns;
  for (const int step : choice.steps) {
    std::string pattern = layer_pattern(plan.steps.at(static_cast<std::size_t>(step)).name);
    if (std::find(patterns.begin(), patterns.end(), pattern) == patterns.end()) patterns.push_back(std::move(pattern));
  }
  return fmt::format("{}", fmt::join(patterns, ", "));
}

// A wider space repeats a narrower one's counts: they do not add up.
std::map<std::string, int> infeasible_counts(const PlanStore& store, const KernelChoice& choice) {
  std::map<std::string, int> most;
  for (const InfeasibleCount& count : store.infeasible(choice.device, choice.problem))
    most[count.reason] = std::max(most[count.reason], count.candidates);
  return most;
}

ChoiceReport explain(const Plan& plan, const KernelChoice& choice, const PlanStore& store, std::size_t count) {
  ChoiceReport report{.choice = choice, .steps = step_pattern(plan, choice)};
  std::vector<CandidateRecord> records = store.candidates(choice.device, choice.problem);
  for (const CandidateRecord& record : records)
    if (record.config == choice.config && record.source_hash == choice.source_hash) report.chosen = time_of(record);
  for (const auto& [config, record] : by_config(std::move(records))) {
    ++report.outcomes[record.status];
    if (config == choice.config || record.status != kStatusOk) continue;
    RecordedTime time = time_of(record);
    // Where the chosen one was timed, a prediction is no rival.
    if (time.time_us <= 0 || (report.chosen && has_samples(*report.chosen) != has_samples(time))) continue;
    if (report.chosen) compare(time, *report.chosen);
    if (config == choice.alone_config) report.alone = time;
    report.runners_up.push_back(std::move(time));
  }
  std::stable_sort(report.runners_up.begin(), report.runners_up.end(),
                   [](const RecordedTime& a, const RecordedTime& b) { return a.time_us < b.time_us; });
  if (report.runners_up.size() > count) report.runners_up.resize(count);
  report.infeasible = infeasible_counts(store, choice);
  return report;
}

}  // namespace

std::vector<ChoiceReport> explain_choices(const Plan& plan, const PlanStore& store, std::size_t runners_up) {
  std::vector<ChoiceReport> reports;
  for (const KernelChoice& choice : plan.choices) reports.push_back(explain(plan, choice, store, runners_up));
  return reports;
}

}  // namespace duet
