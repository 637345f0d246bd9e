#include "runtime/plan_store.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <ctime>
#include <thread>

#include "base/error.h"
#include "runtime/plan_match.h"
#include "runtime/plan_rows.h"
#include "runtime/plan_store_schema.h"
#include "runtime/sqlite.h"
#include "runtime/store_fields.h"
#include "runtime/store_row.h"

namespace duet {
namespace {

constexpr int kWalAttempts = 300;
constexpr auto kWalPause = std::chrono::milliseconds(100);

std::string utc_now() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  const std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return std::string(text, length);
}

// Switching to WAL takes a lock that does not honour the busy timeout: two processes that start at once must retry.
void switch_to_wal(const Database& database) {
  for (int attempt = 0;; ++attempt) try {
      return database.execute("PRAGMA journal_mode = WAL");
    } catch (const Error&) {
      if (attempt == kWalAttempts) throw;
      std::this_thread::sleep_for(kWalPause);
    }
}

// A tuning database whose journal still holds changes is no finished file: reading it as immutable would miss them.
Database::Access access_of(const std::filesystem::path& path, PlanStore::Mode mode) {
  if (mode == PlanStore::Mode::tune) return Database::Access::read_write;
  std::error_code absent;
  std::filesystem::path journal = path;
  journal += "-wal";
  const auto size = std::filesystem::file_size(journal, absent);
  return !absent && size > 0 ? Database::Access::read_only : Database::Access::immutable;
}

void require_no_folder(const std::filesystem::path& path, PlanStore::Mode mode) {
  std::error_code ignored;
  if (mode == PlanStore::Mode::read_only && !std::filesystem::exists(path, ignored))
    fail(ErrorKind::missing, "{}: no such plan store: tune first, or give another path", path.string());
  if (std::filesystem::exists(path, ignored) && !std::filesystem::is_regular_file(path, ignored))
    fail(ErrorKind::input, "{}: is not a regular file", path.string());
}

// Removes a file that was not published.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::filesystem::path& beside) : path_(beside) {
    static std::atomic<unsigned> counter{0};
    path_ += fmt::format(".tmp-{}-{}", ::getpid(), counter++);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

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

// `condition` has one place for each of `values`.
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

std::int64_t candidate_id(const Database& database, const CandidateRecord& candidate) {
  const RowWriter key = row_of(candidate, kCandidateKeyFields);
  Statement statement = database.prepare(fmt::format("SELECT id FROM candidates WHERE {}", equals_clause(key)));
  for (const SqlValue& value : key.values) statement.bind(value);
  if (!statement.step()) fail(ErrorKind::internal, "{}: a candidate just written is not there", database.name());
  return statement.integer(0);
}

}  // namespace

std::string_view match_kind_name(MatchKind kind) {
  switch (kind) {
    case MatchKind::exact:
      return "exact";
    case MatchKind::other_mode:
      return "other mode";
    case MatchKind::other_batch:
      return "other batch";
    case MatchKind::other_device:
      return "other device";
    case MatchKind::none:
      return "none";
  }
  return "unknown";
}

struct PlanStore::State {
  State(const std::filesystem::path& path, Mode open_mode)
      : database(path, access_of(path, open_mode)), mode(open_mode) {}

  void require_writable() const {
    if (mode == Mode::read_only)
      fail(ErrorKind::internal, "{}: was opened read-only and cannot be changed", database.name());
  }

  Database database;
  Mode mode;
};

PlanStore::PlanStore(std::unique_ptr<State> state) : state_(std::move(state)) {}
PlanStore::PlanStore(PlanStore&&) noexcept = default;
PlanStore& PlanStore::operator=(PlanStore&&) noexcept = default;
PlanStore::~PlanStore() = default;

PlanStore PlanStore::open(const std::filesystem::path& path, Mode mode) {
  require_no_folder(path, mode);
  auto state = std::make_unique<State>(path, mode);
  if (mode == Mode::tune) {
    migrate_schema(state->database);
    check_schema(state->database);
    switch_to_wal(state->database);
    state->database.execute(
        "PRAGMA synchronous = NORMAL");  // with WAL: a kill loses nothing, a power cut the last commits
  } else {
    check_schema(state->database);
  }
  return PlanStore(std::move(state));
}

std::int64_t PlanStore::put(const Plan& plan) {
  state_->require_writable();
  const Plan stored = storable_plan(plan);
  validate_plan(stored);
  check_images(stored);
  Transaction transaction(state_->database);
  const std::int64_t id = insert_plan(state_->database, stored, utc_now());
  transaction.commit();
  return id;
}

PlanMatch PlanStore::find(const PlanKey& key) const {
  const PlanChoice choice = match_plan(key, list());
  PlanMatch match{.kind = choice.kind, .why = choice.why};
  if (choice.kind != MatchKind::none) match.plan = load(choice.id);
  return match;
}

std::vector<PlanSummary> PlanStore::list() const {
  const Database& database = state_->database;
  Statement statement = database.prepare(
      "SELECT plans.id, provenance, (SELECT count(*) FROM steps WHERE plan_id = plans.id), latency_us, created, batch, "
      "precision, variant, model, hash, target, module, arch, sm_count, sm_clock_mhz, memory_clock_mhz, l2_bytes, "
      "power_mode, driver_version FROM plans JOIN graphs ON graphs.id = graph_id JOIN devices ON devices.id = "
      "device_id "
      "ORDER BY plans.id");
  std::vector<PlanSummary> summaries;
  while (statement.step()) {
    RowReader reader(statement, database.name());
    PlanSummary& summary = summaries.emplace_back();
    reader("id", summary.id);
    reader("provenance", summary.provenance);
    reader("steps", summary.steps);
    reader("latency_us", summary.latency_us);
    reader("created", summary.created);
    kPlanKeyFields(reader, summary.key);
    kGraphFields(reader, summary.key);
    kDeviceFields(reader, summary.key.device);
  }
  return summaries;
}

Plan PlanStore::load(std::int64_t id) const { return read_plan(state_->database, id); }

void PlanStore::remove(std::int64_t id) {
  state_->require_writable();
  Transaction transaction(state_->database);
  Statement statement = state_->database.prepare("DELETE FROM plans WHERE id = ?");
  statement.bind(id);
  statement.step();
  transaction.commit();
}

void PlanStore::record(const CandidateRecord& candidate) {
  state_->require_writable();
  const Database& database = state_->database;
  const std::string now = utc_now();
  RowWriter row = row_of(candidate, kCandidateKeyFields, kCandidateOutcomeFields);
  row("recorded", now);
  std::string updates;
  RowWriter outcome = row_of(candidate, kCandidateOutcomeFields);
  outcome("recorded", now);
  for (const std::string_view column : outcome.columns)
    updates += fmt::format("{}{} = excluded.{}", updates.empty() ? "" : ", ", column, column);

  Transaction transaction(database);
  insert_row(database, "candidates", row,
             fmt::format("ON CONFLICT (device, problem, config, source_hash) DO UPDATE SET {}", updates));
  const std::int64_t id = candidate_id(database, candidate);
  // Every measurement is kept. An empty one is written only over an older one: the newest belongs to the stored
  // outcome.
  if (candidate.samples_us.empty() && latest_samples(database, id).empty()) return transaction.commit();
  RowWriter measurement;
  measurement("candidate_id", id);
  measurement("provenance", candidate.provenance);
  measurement("environment", candidate.environment);
  measurement("recorded", now);
  measurement("samples_us", candidate.samples_us);
  insert_row(database, "measurements", measurement);
  transaction.commit();
}

std::optional<CandidateRecord> PlanStore::find_candidate(std::string_view device, std::string_view problem,
                                                         std::string_view config, std::string_view source_hash) const {
  std::vector<CandidateRecord> found =
      read_candidates(state_->database, "device = ? AND problem = ? AND config = ? AND source_hash = ?",
                      {device, problem, config, source_hash});
  if (found.empty()) return std::nullopt;
  return std::move(found.front());
}

std::vector<CandidateRecord> PlanStore::candidates(std::string_view device, std::string_view problem) const {
  return read_candidates(state_->database, "device = ? AND problem = ?", {device, problem});
}

void PlanStore::export_to(const std::filesystem::path& path, const std::vector<std::int64_t>& plan_ids) const {
  const Database staging(path.string(), Database::Access::memory);
  migrate_schema(staging);
  {
    Transaction transaction(staging);
    for (const std::int64_t id : plan_ids) {
      Statement created = state_->database.prepare("SELECT created FROM plans WHERE id = ?");
      created.bind(id);
      if (!created.step()) fail(ErrorKind::input, "{}: holds no plan {}", state_->database.name(), id);
      insert_plan(staging, load(id), created.text(0));
    }
    transaction.commit();
  }
  const TemporaryFile temporary(path);
  Statement vacuum = staging.prepare("VACUUM INTO ?");
  vacuum.bind(std::filesystem::absolute(temporary.path()).string());  // never taken for a URI
  vacuum.step();
  std::error_code error;
  std::filesystem::rename(temporary.path(), path, error);
  if (error) fail(ErrorKind::input, "{}: cannot be written: {}", path.string(), error.message());
}

}  // namespace duet
