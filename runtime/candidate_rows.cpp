#include "runtime/candidate_rows.h"

#include <chrono>
#include <ctime>

#include "base/error.h"
#include "runtime/store_fields.h"
#include "runtime/store_row.h"

namespace duet {
namespace {

std::vector<double> latest_samples(const Database& database, std::int64_t candidate_id) {
  Statement statement =
      database.prepare("SELECT samples_us FROM measurements WHERE candidate_id = ? ORDER BY id DESC LIMIT 1");
  statement.bind(candidate_id);
  std::vector<double> samples;
  if (!statement.step()) return samples;
  RowReader reader(statement, database.name());
  reader("samples_us", samples);
  return samples;
}

std::int64_t candidate_id(const Database& database, const CandidateRecord& candidate) {
  const RowWriter key = row_of(candidate, kCandidateKeyFields);
  Statement statement = database.prepare(fmt::format("SELECT id FROM candidates WHERE {}", equals_clause(key)));
  for (const SqlValue& value : key.values) statement.bind(value);
  if (!statement.step()) fail(ErrorKind::internal, "{}: a candidate just written is not there", database.name());
  return statement.integer(0);
}

// Every measurement is kept. An empty one is written only over an older one: the newest belongs to the stored outcome.
void write_samples(const Database& database, std::int64_t id, const CandidateRecord& candidate,
                   const std::string& now) {
  if (candidate.samples_us.empty() && latest_samples(database, id).empty()) return;
  RowWriter measurement;
  measurement("candidate_id", id);
  measurement("provenance", candidate.provenance);
  measurement("environment", candidate.environment);
  measurement("recorded", now);
  measurement("samples_us", candidate.samples_us);
  insert_row(database, "measurements", measurement);
}

}  // namespace

std::string utc_now() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  const std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return std::string(text, length);
}

void write_candidate(const Database& database, const CandidateRecord& candidate, const std::string& now) {
  RowWriter row = row_of(candidate, kCandidateKeyFields, kCandidateOutcomeFields);
  row("recorded", now);
  std::string updates;
  RowWriter outcome = row_of(candidate, kCandidateOutcomeFields);
  outcome("recorded", now);
  for (const std::string_view column : outcome.columns)
    updates += fmt::format("{}{} = excluded.{}", updates.empty() ? "" : ", ", column, column);
  insert_row(database, "candidates", row,
             fmt::format("ON CONFLICT (device, problem, config, source_hash) DO UPDATE SET {}", updates));
  write_samples(database, candidate_id(database, candidate), candidate, now);
}

std::vector<CandidateRecord> read_candidates(const Database& database, std::string_view condition,
                                             const std::vector<std::string_view>& values) {
  Statement statement = database.prepare(fmt::format("SELECT id, {}, {} FROM candidates WHERE {} ORDER BY id",
                                                     columns_of<CandidateRecord>(kCandidateKeyFields),
                                                     columns_of<CandidateRecord>(kCandidateOutcomeFields), condition));
  for (const std::string_view value : values) statement.bind(std::string(value));
  std::vector<CandidateRecord> records;
  while (statement.step()) {
    RowReader reader(statement, database.name());
    CandidateRecord& record = records.emplace_back();
    std::int64_t id = 0;
    reader("id", id);
    kCandidateKeyFields(reader, record);
    kCandidateOutcomeFields(reader, record);
    record.samples_us = latest_samples(database, id);
  }
  return records;
}

std::vector<CandidateSpace> read_candidate_spaces(const Database& database) {
  Statement statement = database.prepare(
      "SELECT device, problem, count(*), sum(timed), sum(status != 'ok'), "
      "coalesce(min(CASE WHEN timed THEN median_us END), 0.0) FROM (SELECT device, problem, status, median_us, "
      "coalesce(provenance = 'measured' AND status = 'ok' AND median_us > 0, 0) AS timed FROM candidates) "
      "GROUP BY device, problem ORDER BY device, problem");
  std::vector<CandidateSpace> spaces;
  while (statement.step()) {
    RowReader reader(statement, database.name());
    CandidateSpace& space = spaces.emplace_back();
    reader("device", space.device);
    reader("problem", space.problem);
    reader("candidates", space.candidates);
    reader("timed", space.timed);
    reader("failed", space.failed);
    reader("best_us", space.best_us);
  }
  return spaces;
}

void replace_infeasible(const Database& database, std::string_view device, std::string_view problem,
                        std::string_view space, std::span<const InfeasibleCount> counts, const std::string& now) {
  Statement clear = database.prepare("DELETE FROM infeasible WHERE device = ? AND problem = ? AND space = ?");
  for (const std::string_view value : {device, problem, space}) clear.bind(std::string(value));
  clear.step();
  for (const InfeasibleCount& count : counts) {
    RowWriter row;
    row("device", std::string(device));
    row("problem", std::string(problem));
    row("space", std::string(space));
    row("reason", count.reason);
    row("candidates", count.candidates);
    row("recorded", now);
    insert_row(database, "infeasible", row);
  }
}

std::vector<InfeasibleCount> read_infeasible(const Database& database, std::string_view device,
                                             std::string_view problem) {
  Statement statement = database.prepare(
      "SELECT space, reason, candidates FROM infeasible WHERE device = ? AND problem = ? ORDER BY space, reason");
  for (const std::string_view value : {device, problem}) statement.bind(std::string(value));
  std::vector<InfeasibleCount> counts;
  while (statement.step()) {
    RowReader reader(statement, database.name());
    InfeasibleCount& count = counts.emplace_back();
    reader("space", count.space);
    reader("reason", count.reason);
    reader("candidates", count.candidates);
  }
  return counts;
}

}  // namespace duet
