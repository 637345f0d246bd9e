#include "runtime/session_rows.h"

#include "base/error.h"
#include "runtime/store_fields.h"
#include "runtime/store_row.h"

namespace duet {

std::int64_t insert_session(const Database& database, const SessionRecord& session, const std::string& now) {
  RowWriter row = row_of(session, kSessionRequestFields, kSessionOutcomeFields);
  row("started", now);
  return insert_row(database, "sessions", row);
}

void update_session(const Database& database, const SessionRecord& session, const std::string& now) {
  RowWriter row = row_of(session, kSessionOutcomeFields);
  row("finished", now);
  Statement statement = database.prepare(
      fmt::format("UPDATE sessions SET {} = ? WHERE id = ? RETURNING id", fmt::join(row.columns, " = ?, ")));
  for (const SqlValue& value : row.values) statement.bind(value);
  statement.bind(session.id);
  if (!statement.step()) fail(ErrorKind::internal, "{}: holds no session {}", database.name(), session.id);
  statement.step();
}

std::vector<SessionRecord> read_sessions(const Database& database) {
  Statement statement = database.prepare(
      fmt::format("SELECT id, {}, {}, started, coalesce(finished, '') FROM sessions ORDER BY id",
                  columns_of<SessionRecord>(kSessionRequestFields), columns_of<SessionRecord>(kSessionOutcomeFields)));
  std::vector<SessionRecord> sessions;
  while (statement.step()) {
    RowReader reader(statement, database.name());
    SessionRecord& session = sessions.emplace_back();
    reader("id", session.id);
    kSessionRequestFields(reader, session);
    kSessionOutcomeFields(reader, session);
    reader("started", session.started);
    reader("finished", session.finished);
  }
  return sessions;
}

void insert_benchmark(const Database& database, const BenchmarkRecord& benchmark, const std::string& now) {
  RowWriter row;
  row("name", benchmark.name);
  row("device", benchmark.device);
  row("median_us", benchmark.median_us);
  row("recorded", now);
  RowWriter measurement;
  measurement("benchmark_id", insert_row(database, "benchmarks", row));
  measurement("provenance", Provenance::measured);
  measurement("environment", benchmark.environment);
  measurement("recorded", now);
  measurement("samples_us", benchmark.samples_us);
  insert_row(database, "measurements", measurement);
}

std::vector<BenchmarkRecord> read_benchmarks(const Database& database) {
  Statement statement = database.prepare(
      "SELECT name, device, median_us, benchmarks.recorded, environment, samples_us FROM benchmarks JOIN measurements "
      "ON benchmark_id = benchmarks.id ORDER BY benchmarks.id");
  std::vector<BenchmarkRecord> benchmarks;
  while (statement.step()) {
    RowReader reader(statement, database.name());
    BenchmarkRecord& benchmark = benchmarks.emplace_back();
    reader("name", benchmark.name);
    reader("device", benchmark.device);
    reader("median_us", benchmark.median_us);
    reader("recorded", benchmark.recorded);
    reader("environment", benchmark.environment);
    reader("samples_us", benchmark.samples_us);
  }
  return benchmarks;
}

}  // namespace duet
