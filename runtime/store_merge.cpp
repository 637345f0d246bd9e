#include "runtime/store_merge.h"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>

#include "base/error.h"
#include "runtime/candidate_rows.h"
#include "runtime/plan_rows.h"
#include "runtime/session_rows.h"
#include "runtime/store_fields.h"
#include "runtime/store_row.h"

namespace duet {
namespace {

struct MeasurementRow {
  Provenance provenance = Provenance::predicted;
  std::string environment{}, recorded{};
  std::vector<double> samples_us{};
};

constexpr auto kMeasurementFields = [](auto& row, auto& measurement) {
  row("provenance", measurement.provenance);
  row("environment", measurement.environment);
  row("recorded", measurement.recorded);
  row("samples_us", measurement.samples_us);
};

struct CandidateRow {
  std::int64_t id = 0;
  CandidateRecord record{};
  std::string recorded{};
};

Statement bound(const Database& database, const std::string& sql, const RowWriter& row) {
  Statement statement = database.prepare(sql);
  for (const SqlValue& value : row.values) statement.bind(value);
  return statement;
}

// Values as bytes, so that any two rows have an order, the same on every machine.
std::string bytes_of(const RowWriter& row) {
  std::string text;
  for (const SqlValue& value : row.values) {
    text += static_cast<char>(value.index());
    if (const auto* number = std::get_if<std::int64_t>(&value)) text += fmt::format("{}", *number);
    if (const auto* real = std::get_if<double>(&value)) text += fmt::format("{:a}", *real);
    if (const auto* words = std::get_if<std::string>(&value)) text += *words;
    text += '\0';
  }
  return text;
}

void require_sound(const Database& database) {
  Statement check = database.prepare("PRAGMA quick_check(1)");
  if (!check.step() || check.text(0) != "ok")
    fail(ErrorKind::input, "{}: is damaged ({}): nothing was merged; give a copy that is whole", database.name(),
         check.text(0));
  if (database.prepare("PRAGMA foreign_key_check").step())
    fail(ErrorKind::input, "{}: is damaged (a row refers to none): nothing was merged; give a copy that is whole",
         database.name());
}

// A store has one plan of a key: the firmest stays, and of equally firm ones the newest.
using PlanRank = std::tuple<Provenance, std::string, std::string>;  // provenance, created, digest

std::optional<PlanRank> stored_rank(const Database& database, const PlanKey& key) {
  RowWriter wanted = row_of(key, kGraphFields, kPlanKeyFields);
  kDeviceFields(wanted, key.device);
  Statement statement = bound(database,
                              "SELECT provenance, created, digest FROM plans JOIN graphs ON graphs.id = graph_id "
                              "JOIN devices ON devices.id = device_id WHERE " +
                                  equals_clause(wanted),
                              wanted);
  if (!statement.step()) return std::nullopt;
  RowReader reader(statement, database.name());
  PlanRank rank;
  reader("provenance", std::get<0>(rank));
  reader("created", std::get<1>(rank));
  reader("digest", std::get<2>(rank));
  return rank;
}

int merge_plans(const Database& into, const Database& from) {
  int merged = 0;
  Statement ids = from.prepare("SELECT id FROM plans ORDER BY id");
  while (ids.step()) {
    const Plan plan = read_plan(from, ids.integer(0));
    const std::optional<PlanRank> found = stored_rank(from, plan.key), there = stored_rank(into, plan.key);
    if (!found) fail(ErrorKind::internal, "{}: plan {} just read is not there", from.name(), ids.integer(0));
    if (there && *there >= *found) continue;
    set_preferred(into, insert_plan(into, plan, std::get<1>(*found)), is_preferred(from, ids.integer(0)));
    ++merged;
  }
  return merged;
}

std::vector<CandidateRow> candidate_rows(const Database& database, const std::string& condition,
                                         const RowWriter& values) {
  Statement statement = bound(database,
                              fmt::format("SELECT id, {}, {}, recorded FROM candidates WHERE {} ORDER BY id",
                                          columns_of<CandidateRecord>(kCandidateKeyFields),
                                          columns_of<CandidateRecord>(kCandidateOutcomeFields), condition),
                              values);
  std::vector<CandidateRow> rows;
  while (statement.step()) {
    RowReader reader(statement, database.name());
    CandidateRow& row = rows.emplace_back();
    reader("id", row.id);
    kCandidateKeyFields(reader, row.record);
    kCandidateOutcomeFields(reader, row.record);
    reader("recorded", row.recorded);
  }
  return rows;
}

std::vector<MeasurementRow> measurements_of(const Database& database, std::int64_t candidate_id) {
  Statement statement = database.prepare(fmt::format("SELECT {} FROM measurements WHERE candidate_id = ? ORDER BY id",
                                                     columns_of<MeasurementRow>(kMeasurementFields)));
  statement.bind(candidate_id);
  std::vector<MeasurementRow> rows;
  while (statement.step()) {
    RowReader reader(statement, database.name());
    kMeasurementFields(reader, rows.emplace_back());
  }
  return rows;
}

bool is_newer(const CandidateRow& a, const CandidateRow& b) {
  if (a.recorded != b.recorded) return a.recorded > b.recorded;
  return bytes_of(row_of(a.record, kCandidateOutcomeFields)) > bytes_of(row_of(b.record, kCandidateOutcomeFields));
}

void write_outcome(const Database& into, std::int64_t id, const CandidateRow& candidate) {
  RowWriter row = row_of(candidate.record, kCandidateOutcomeFields);
  row("recorded", candidate.recorded);
  Statement update =
      bound(into, fmt::format("UPDATE candidates SET {} = ? WHERE id = ?", fmt::join(row.columns, " = ?, ")), row);
  update.bind(id);
  update.step();
}

void insert_measurement(const Database& into, std::int64_t candidate_id, const MeasurementRow& measurement,
                        bool before_others) {
  RowWriter row;
  if (before_others) row("id", into.integer("SELECT min(0, coalesce(min(id), 0)) - 1 FROM measurements"));
  row("candidate_id", candidate_id);
  kMeasurementFields(row, measurement);
  insert_row(into, "measurements", row);
}

// A candidate's last measurement is its outcome's (candidate_rows.cpp): those of an outcome that gave way go before.
// By order, not by time: boards without a battery start with a wrong clock.
int merge_measurements(const Database& into, std::int64_t id, const std::vector<MeasurementRow>& rows, bool gave_way) {
  std::map<std::string, int> there;
  for (const MeasurementRow& row : measurements_of(into, id)) ++there[bytes_of(row_of(row, kMeasurementFields))];
  int merged = 0;
  for (const MeasurementRow& row : rows) {
    if (there[bytes_of(row_of(row, kMeasurementFields))]-- > 0) continue;
    insert_measurement(into, id, row, gave_way);
    ++merged;
  }
  return merged;
}

// For an outcome without samples of its own, which must not show another's.
void insert_no_samples(const Database& into, std::int64_t id, const CandidateRow& outcome) {
  insert_measurement(into, id,
                     {.provenance = outcome.record.provenance,
                      .environment = outcome.record.environment,
                      .recorded = outcome.recorded,
                      .samples_us = {}},
                     false);
}

std::int64_t insert_candidate(const Database& into, const CandidateRow& candidate) {
  RowWriter row = row_of(candidate.record, kCandidateKeyFields, kCandidateOutcomeFields);
  row("recorded", candidate.recorded);
  return insert_row(into, "candidates", row);
}

// Of a candidate that both stores know.
int merge_known(const Database& into, const CandidateRow& known, const CandidateRow& found,
                const std::vector<MeasurementRow>& rows, bool newer) {
  const bool had_samples = !measurements_of(into, known.id).empty();
  if (newer) write_outcome(into, known.id, found);
  const int merged = merge_measurements(into, known.id, rows, !newer);
  if (newer && rows.empty() && had_samples) insert_no_samples(into, known.id, found);
  if (!newer && merged > 0 && !had_samples) insert_no_samples(into, known.id, known);
  return merged;
}

void merge_candidates(const Database& into, const Database& from, MergeCounts& counts) {
  for (const CandidateRow& candidate : candidate_rows(from, "1", {})) {
    const RowWriter key = row_of(candidate.record, kCandidateKeyFields);
    const std::vector<CandidateRow> known = candidate_rows(into, equals_clause(key), key);
    const std::vector<MeasurementRow> rows = measurements_of(from, candidate.id);
    const bool newer = known.empty() || is_newer(candidate, known.front());
    counts.candidates += newer ? 1 : 0;
    counts.measurements += known.empty() ? merge_measurements(into, insert_candidate(into, candidate), rows, false)
                                         : merge_known(into, known.front(), candidate, rows, newer);
  }
}

struct SpaceRow {
  std::string device{}, problem{}, space{}, recorded{};
};

std::string newest_count(const Database& database, const SpaceRow& space) {
  Statement statement = database.prepare(
      "SELECT coalesce(max(recorded), '') FROM infeasible WHERE device = ? AND problem = ? AND space = ?");
  statement.bind(space.device).bind(space.problem).bind(space.space);
  statement.step();
  return statement.text(0);
}

// The counts of one space are of one enumeration: they come together.
int merge_infeasible(const Database& into, const Database& from) {
  int merged = 0;
  Statement spaces = from.prepare(
      "SELECT device, problem, space, max(recorded) FROM infeasible GROUP BY device, problem, space ORDER BY 1, 2, 3");
  while (spaces.step()) {
    const SpaceRow space{spaces.text(0), spaces.text(1), spaces.text(2), spaces.text(3)};
    std::vector<InfeasibleCount> counts = read_infeasible(from, space.device, space.problem);
    std::erase_if(counts, [&](const InfeasibleCount& count) { return count.space != space.space; });
    if (newest_count(into, space) >= space.recorded) continue;
    replace_infeasible(into, space.device, space.problem, space.space, counts, space.recorded);
    merged += static_cast<int>(counts.size());
  }
  return merged;
}

RowWriter request_of(const SessionRecord& session) {
  RowWriter row = row_of(session, kSessionRequestFields);
  row("started", session.started);
  return row;
}

RowWriter session_row(const SessionRecord& session) {
  RowWriter row = request_of(session);
  kSessionOutcomeFields(row, session);
  if (!session.finished.empty()) row("finished", session.finished);
  return row;
}

// Sessions have no name of their own. A run that still went on when its store was copied has a row without an end;
// the copy that has the end is the same run.
int merge_sessions(const Database& into, const Database& from) {
  std::map<std::string, std::vector<SessionRecord>> open;  // in `into`, by request
  std::map<std::string, int> whole, requests;
  for (const SessionRecord& session : read_sessions(into)) {
    ++whole[bytes_of(session_row(session))];
    ++requests[bytes_of(request_of(session))];
    if (session.finished.empty()) open[bytes_of(request_of(session))].push_back(session);
  }
  int merged = 0;
  for (const SessionRecord& session : read_sessions(from)) {
    if (whole[bytes_of(session_row(session))]-- > 0) continue;
    const std::string request = bytes_of(request_of(session));
    if (session.finished.empty() && requests[request] > 0) continue;
    ++merged;
    if (!session.finished.empty() && !open[request].empty()) {
      SessionRecord ended = session;
      ended.id = open[request].back().id;
      open[request].pop_back();
      update_session(into, ended, session.finished);
    } else {
      insert_row(into, "sessions", session_row(session));
    }
  }
  return merged;
}

RowWriter benchmark_row(const BenchmarkRecord& benchmark) {
  RowWriter row;
  row("name", benchmark.name);
  row("device", benchmark.device);
  row("median_us", benchmark.median_us);
  row("recorded", benchmark.recorded);
  row("environment", benchmark.environment);
  row("samples_us", benchmark.samples_us);
  return row;
}

int merge_benchmarks(const Database& into, const Database& from) {
  std::map<std::string, int> there;
  for (const BenchmarkRecord& benchmark : read_benchmarks(into)) ++there[bytes_of(benchmark_row(benchmark))];
  int merged = 0;
  for (const BenchmarkRecord& benchmark : read_benchmarks(from)) {
    if (there[bytes_of(benchmark_row(benchmark))]-- > 0) continue;
    insert_benchmark(into, benchmark, benchmark.recorded);
    ++merged;
  }
  return merged;
}

}  // namespace

MergeCounts merge_store(const Database& into, const Database& from) {
  const Snapshot snapshot(from);  // another process may be tuning into it
  require_sound(from);
  MergeCounts counts;
  merge_candidates(into, from, counts);
  counts.plans = merge_plans(into, from);
  counts.infeasible = merge_infeasible(into, from);
  counts.sessions = merge_sessions(into, from);
  counts.benchmarks = merge_benchmarks(into, from);
  return counts;
}

}  // namespace duet
