#include "runtime/plan_store.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <thread>

#include "base/error.h"
#include "runtime/candidate_rows.h"
#include "runtime/plan_match.h"
#include "runtime/plan_rows.h"
#include "runtime/plan_store_schema.h"
#include "runtime/session_rows.h"
#include "runtime/sqlite.h"
#include "runtime/store_fields.h"
#include "runtime/store_merge.h"
#include "runtime/store_row.h"

namespace duet {
namespace {

constexpr int kWalAttempts = 300;
constexpr auto kWalPause = std::chrono::milliseconds(100);

// Switching to WAL takes a lock that does not honour the busy timeout: two processes that start at once must retry.
void switch_to_wal(const Database& database) {
  for (int attempt = 0; attempt < kWalAttempts; ++attempt) {
    if (database.execute_unless_busy("PRAGMA journal_mode = WAL")) return;
    std::this_thread::sleep_for(kWalPause);
  }
  database.execute("PRAGMA journal_mode = WAL");
}

// A tuning database that another process has open (SQLite then keeps a "-shm" file beside it), or whose journal still
// holds changes, is no finished file: reading it as immutable would miss what changes.
Database::Access access_of(const std::filesystem::path& path, PlanStore::Mode mode) {
  if (mode == PlanStore::Mode::tune) return Database::Access::read_write;
  std::error_code absent;
  std::filesystem::path journal = path;
  journal += "-wal";
  const auto size = std::filesystem::file_size(journal, absent);
  std::filesystem::path shared = path;
  shared += "-shm";
  std::error_code ignored;
  return (!absent && size > 0) || std::filesystem::exists(shared, ignored) ? Database::Access::read_only
                                                                           : Database::Access::immutable;
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

// SQLite's header says which journal the file uses: 2 is WAL.
bool is_tuning_database(const std::filesystem::path& path) {
  constexpr std::streamoff kWriteVersionAt = 18;
  std::ifstream file(path, std::ios::binary);
  return file.seekg(kWriteVersionAt) && file.get() == 2;
}

struct PlanStore::State {
  State(std::unique_ptr<const Database> opened, Mode open_mode)
      : owner(std::move(opened)), database(*owner), mode(open_mode) {}

  void require_writable() const {
    if (mode == Mode::read_only)
      fail(ErrorKind::internal, "{}: was opened read-only and cannot be changed", database.name());
  }

  std::unique_ptr<const Database> owner;
  const Database& database;
  Mode mode;
};

PlanStore::PlanStore(std::unique_ptr<State> state) : state_(std::move(state)) {}
PlanStore::PlanStore(PlanStore&&) noexcept = default;
PlanStore& PlanStore::operator=(PlanStore&&) noexcept = default;
PlanStore::~PlanStore() = default;

PlanStore PlanStore::open(const std::filesystem::path& path, Mode mode) {
  require_no_folder(path, mode);
  auto database = std::make_unique<const Database>(path, access_of(path, mode));
  if (mode == Mode::tune) {
    migrate_schema(*database);
    check_schema(*database);
    switch_to_wal(*database);
    database->execute("PRAGMA synchronous = NORMAL");  // with WAL: a kill loses nothing, a power cut the last commits
  } else {
    check_schema(*database);
    if (is_of_older_version(*database)) database = migrated_copy(*database);
  }
  return PlanStore(std::make_unique<State>(std::move(database), mode));
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
  const MatchedPlan choice = match_plan(key, list());
  PlanMatch match{.kind = choice.kind, .why = choice.why};
  if (choice.kind == MatchKind::none) return match;
  match.plan = load(choice.id);
  match.preferred = is_preferred(state_->database, choice.id);
  return match;
}

std::vector<PlanSummary> PlanStore::list() const {
  const Database& database = state_->database;
  Statement statement = database.prepare(
      "SELECT plans.id, provenance, (SELECT count(*) FROM steps WHERE plan_id = plans.id), latency_us, preferred, "
      "created, batch, precision, variant, model, hash, target, module, arch, sm_count, sm_clock_mhz, "
      "memory_clock_mhz, l2_bytes, "
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
    reader("preferred", summary.preferred);
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

void PlanStore::prefer(std::int64_t id, bool preferred) {
  state_->require_writable();
  Transaction transaction(state_->database);
  Statement others = state_->database.prepare(
      "UPDATE plans SET preferred = 0 WHERE (graph_id, device_id, batch, precision) = "
      "(SELECT graph_id, device_id, batch, precision FROM plans WHERE id = ?)");
  others.bind(id);
  others.step();
  set_preferred(state_->database, id, preferred);
  transaction.commit();
}

std::set<std::string> PlanStore::image_hashes(const std::set<std::int64_t>& but) const {
  Statement statement =
      state_->database.prepare("SELECT DISTINCT plan_id, hash FROM images JOIN kernels ON kernels.id = kernel_id");
  std::set<std::string> hashes;
  while (statement.step())
    if (!but.contains(statement.integer(0))) hashes.insert(statement.text(1));
  return hashes;
}

std::uint64_t PlanStore::image_bytes(std::int64_t id) const {
  Statement statement = state_->database.prepare(
      "SELECT coalesce(sum(length(bytes)), 0) FROM images JOIN kernels ON kernels.id = kernel_id WHERE plan_id = ?");
  statement.bind(id);
  statement.step();
  return static_cast<std::uint64_t>(statement.integer(0));
}

bool PlanStore::compact() {
  state_->require_writable();
  return state_->database.execute_unless_busy("VACUUM");
}

MergeCounts PlanStore::merge(std::span<const PlanStore> others) {
  state_->require_writable();
  MergeCounts sum;
  Transaction transaction(state_->database);
  for (const PlanStore& other : others) {
    const MergeCounts counts = merge_store(state_->database, other.state_->database);
    sum.plans += counts.plans;
    sum.candidates += counts.candidates;
    sum.measurements += counts.measurements;
    sum.infeasible += counts.infeasible;
    sum.sessions += counts.sessions;
    sum.benchmarks += counts.benchmarks;
  }
  transaction.commit();
  return sum;
}

void PlanStore::record(const CandidateRecord& candidate) { record_all({&candidate, 1}); }

void PlanStore::record_all(std::span<const CandidateRecord> candidates) {
  state_->require_writable();
  if (candidates.empty()) return;
  const std::string now = utc_now();
  Transaction transaction(state_->database);
  for (const CandidateRecord& candidate : candidates) write_candidate(state_->database, candidate, now);
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

std::vector<CandidateSpace> PlanStore::spaces() const { return read_candidate_spaces(state_->database); }

void PlanStore::record_infeasible(std::string_view device, std::string_view problem, std::string_view space,
                                  std::span<const InfeasibleCount> counts) {
  state_->require_writable();
  Transaction transaction(state_->database);
  replace_infeasible(state_->database, device, problem, space, counts, utc_now());
  transaction.commit();
}

std::vector<InfeasibleCount> PlanStore::infeasible(std::string_view device, std::string_view problem) const {
  return read_infeasible(state_->database, device, problem);
}

std::int64_t PlanStore::begin_session(const SessionRecord& session) {
  state_->require_writable();
  return insert_session(state_->database, session, utc_now());
}

void PlanStore::finish_session(const SessionRecord& session) {
  state_->require_writable();
  update_session(state_->database, session, utc_now());
}

std::vector<SessionRecord> PlanStore::sessions() const { return read_sessions(state_->database); }

void PlanStore::record_benchmarks(std::span<const BenchmarkRecord> benchmarks) {
  state_->require_writable();
  const std::string now = utc_now();
  Transaction transaction(state_->database);
  for (const BenchmarkRecord& benchmark : benchmarks) insert_benchmark(state_->database, benchmark, now);
  transaction.commit();
}

std::vector<BenchmarkRecord> PlanStore::benchmarks() const { return read_benchmarks(state_->database); }

void PlanStore::export_to(const std::filesystem::path& path, const std::vector<std::int64_t>& plan_ids) const {
  const Database staging(path.string(), Database::Access::memory);
  migrate_schema(staging);
  {
    Transaction transaction(staging);
    for (const std::int64_t id : plan_ids) {
      Statement created = state_->database.prepare("SELECT created FROM plans WHERE id = ?");
      created.bind(id);
      if (!created.step()) fail(ErrorKind::input, "{}: holds no plan {}", state_->database.name(), id);
      const std::int64_t copy = insert_plan(staging, load(id), created.text(0));
      set_preferred(staging, copy, is_preferred(state_->database, id));
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
