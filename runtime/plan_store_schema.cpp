#include "runtime/plan_store_schema.h"

#include <array>
#include <map>
#include <span>

#include "base/error.h"
#include "base/one_line.h"

namespace duet {
namespace {

constexpr std::int64_t kApplicationId = 0x44554554;  // "DUET", so that `file` and other tools can tell

// Version 1. Times are in microseconds and UTC ISO 8601; enumerators go by name; lists are JSON.
constexpr std::array<std::string_view, 14> kVersion1 = {
    R"(CREATE TABLE devices (
  id INTEGER PRIMARY KEY, target TEXT NOT NULL, module TEXT NOT NULL, arch TEXT NOT NULL, sm_count INTEGER NOT NULL,
  sm_clock_mhz INTEGER NOT NULL, memory_clock_mhz INTEGER NOT NULL, l2_bytes INTEGER NOT NULL,
  power_mode TEXT NOT NULL, driver_version INTEGER NOT NULL,
  UNIQUE (target, module, arch, sm_count, sm_clock_mhz, memory_clock_mhz, l2_bytes, power_mode, driver_version)))",
    R"(CREATE TABLE graphs (
  id INTEGER PRIMARY KEY, model TEXT NOT NULL, hash TEXT NOT NULL, UNIQUE (model, hash)))",
    R"(CREATE TABLE plans (
  id INTEGER PRIMARY KEY, graph_id INTEGER NOT NULL REFERENCES graphs, device_id INTEGER NOT NULL REFERENCES devices,
  batch INTEGER NOT NULL, precision TEXT NOT NULL, variant TEXT NOT NULL, provenance TEXT NOT NULL,
  mode TEXT NOT NULL, stream_count INTEGER NOT NULL, arena_bytes INTEGER NOT NULL, weight_bytes INTEGER NOT NULL,
  counter_bytes INTEGER NOT NULL, latency_us REAL, floor_us REAL, baseline_latency_us REAL,
  baseline_steps INTEGER NOT NULL, environment TEXT NOT NULL, duet_commit TEXT NOT NULL, created TEXT NOT NULL,
  digest TEXT NOT NULL, UNIQUE (graph_id, device_id, batch, precision, variant)))",
    R"(CREATE TABLE kernels (
  id INTEGER PRIMARY KEY, plan_id INTEGER NOT NULL REFERENCES plans ON DELETE CASCADE, position INTEGER NOT NULL,
  entry TEXT NOT NULL, family TEXT NOT NULL, config TEXT NOT NULL, source TEXT NOT NULL, threads INTEGER NOT NULL,
  smem_bytes INTEGER NOT NULL, UNIQUE (plan_id, position)))",
    R"(CREATE TABLE images (
  id INTEGER PRIMARY KEY, kernel_id INTEGER NOT NULL REFERENCES kernels ON DELETE CASCADE, position INTEGER NOT NULL,
  arch TEXT NOT NULL, cuda_major INTEGER NOT NULL, compiler TEXT NOT NULL, hash TEXT NOT NULL,
  registers INTEGER NOT NULL, spill_bytes INTEGER NOT NULL, static_smem_bytes INTEGER NOT NULL, bytes BLOB NOT NULL,
  UNIQUE (kernel_id, position)))",
    R"(CREATE TABLE steps (
  id INTEGER PRIMARY KEY, plan_id INTEGER NOT NULL REFERENCES plans ON DELETE CASCADE, position INTEGER NOT NULL,
  kernel INTEGER NOT NULL, name TEXT NOT NULL, tower TEXT NOT NULL, grid_x INTEGER NOT NULL, grid_y INTEGER NOT NULL,
  grid_z INTEGER NOT NULL, params BLOB NOT NULL, relocations TEXT NOT NULL, stream INTEGER NOT NULL,
  waits TEXT NOT NULL, flops REAL, bytes REAL, predicted_us REAL, floor_us REAL, measured_us REAL,
  UNIQUE (plan_id, position)))",
    R"(CREATE TABLE weights (
  id INTEGER PRIMARY KEY, plan_id INTEGER NOT NULL REFERENCES plans ON DELETE CASCADE, position INTEGER NOT NULL,
  offset_bytes INTEGER NOT NULL, recipe TEXT NOT NULL, UNIQUE (plan_id, position)))",
    R"(CREATE TABLE tensors (
  id INTEGER PRIMARY KEY, plan_id INTEGER NOT NULL REFERENCES plans ON DELETE CASCADE, role TEXT NOT NULL,
  position INTEGER NOT NULL, name TEXT NOT NULL, dtype TEXT NOT NULL, shape TEXT NOT NULL, ld INTEGER NOT NULL,
  value_limit INTEGER NOT NULL, UNIQUE (plan_id, role, position)))",
    R"(CREATE TABLE sessions (
  id INTEGER PRIMARY KEY, device TEXT NOT NULL, settings TEXT NOT NULL, duet_commit TEXT NOT NULL,
  started TEXT NOT NULL, finished TEXT))",
    R"(CREATE TABLE candidates (
  id INTEGER PRIMARY KEY, device TEXT NOT NULL, problem TEXT NOT NULL, config TEXT NOT NULL,
  source_hash TEXT NOT NULL, status TEXT NOT NULL, detail TEXT NOT NULL, provenance TEXT NOT NULL,
  registers INTEGER NOT NULL, spill_bytes INTEGER NOT NULL, smem_bytes INTEGER NOT NULL, max_error REAL,
  norm_error REAL, median_us REAL, predicted_us REAL, environment TEXT NOT NULL, recorded TEXT NOT NULL,
  UNIQUE (device, problem, config, source_hash)))",
    R"(CREATE TABLE benchmarks (
  id INTEGER PRIMARY KEY, session_id INTEGER REFERENCES sessions ON DELETE SET NULL, name TEXT NOT NULL,
  device TEXT NOT NULL, recorded TEXT NOT NULL))",
    R"(CREATE TABLE measurements (
  id INTEGER PRIMARY KEY, candidate_id INTEGER REFERENCES candidates ON DELETE CASCADE,
  plan_id INTEGER REFERENCES plans ON DELETE CASCADE, benchmark_id INTEGER REFERENCES benchmarks ON DELETE CASCADE,
  provenance TEXT NOT NULL, environment TEXT NOT NULL, recorded TEXT NOT NULL, samples_us TEXT NOT NULL))",
    "CREATE INDEX measurements_of_candidate ON measurements (candidate_id)",
    "CREATE INDEX measurements_of_plan ON measurements (plan_id)",
};

// Version 2. Sessions and benchmarks carry what a run asked for and what came of it; candidates count their attempts.
constexpr std::array<std::string_view, 14> kVersion2 = {
    "ALTER TABLE kernels ADD COLUMN programmatic_launch INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE candidates ADD COLUMN attempts INTEGER NOT NULL DEFAULT 1",
    "ALTER TABLE sessions ADD COLUMN model TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE sessions ADD COLUMN variant TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE sessions ADD COLUMN outcome TEXT NOT NULL DEFAULT 'unfinished'",
    "ALTER TABLE sessions ADD COLUMN candidates INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE sessions ADD COLUMN compiled INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE sessions ADD COLUMN cached INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE sessions ADD COLUMN verified INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE sessions ADD COLUMN infeasible INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE sessions ADD COLUMN failed INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE sessions ADD COLUMN elapsed_s REAL",
    "ALTER TABLE benchmarks ADD COLUMN median_us REAL",
    "CREATE INDEX measurements_of_benchmark ON measurements (benchmark_id)",
};

// Version 3. What cannot run is counted instead of listed. Which space it was of was not recorded before.
constexpr std::array<std::string_view, 3> kVersion3 = {
    R"(CREATE TABLE infeasible (
  id INTEGER PRIMARY KEY, device TEXT NOT NULL, problem TEXT NOT NULL, space TEXT NOT NULL, reason TEXT NOT NULL,
  candidates INTEGER NOT NULL, recorded TEXT NOT NULL, UNIQUE (device, problem, space, reason)))",
    R"(INSERT INTO infeasible (device, problem, space, reason, candidates, recorded)
  SELECT device, problem, '', detail, count(*), max(recorded) FROM candidates
  WHERE status = 'infeasible' AND source_hash = '' GROUP BY device, problem, detail)",
    "DELETE FROM candidates WHERE status = 'infeasible' AND source_hash = ''",
};

// Version 4. What a recorded space tells of a candidate beside its time; 0 of those that were tried before.
constexpr std::array<std::string_view, 3> kVersion4 = {
    "ALTER TABLE candidates ADD COLUMN threads INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE candidates ADD COLUMN blocks_per_sm INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE candidates ADD COLUMN cost_s REAL NOT NULL DEFAULT 0.0",
};

// Version 5. Which candidate each problem of a plan was given, and over what.
constexpr std::array<std::string_view, 1> kVersion5 = {
    R"(CREATE TABLE choices (
  id INTEGER PRIMARY KEY, plan_id INTEGER NOT NULL REFERENCES plans ON DELETE CASCADE, position INTEGER NOT NULL,
  device TEXT NOT NULL, problem TEXT NOT NULL, config TEXT NOT NULL, source_hash TEXT NOT NULL, steps TEXT NOT NULL,
  alone_config TEXT NOT NULL, alone_plan_us REAL, chosen_plan_us REAL, UNIQUE (plan_id, position)))",
};

// Version 6. What each stream of a plan is given of the device: [[priority, SMs], ...].
constexpr std::array<std::string_view, 1> kVersion6 = {
    "ALTER TABLE plans ADD COLUMN streams TEXT NOT NULL DEFAULT '[]'",
};

// Version 7. What a run traded latency for: its points beside the session, and of a plan its energy, what it was chosen
// for, and whether it is the one to run.
constexpr std::array<std::string_view, 4> kVersion7 = {
    "ALTER TABLE sessions ADD COLUMN points TEXT NOT NULL DEFAULT '[]'",
    "ALTER TABLE plans ADD COLUMN energy_mj REAL NOT NULL DEFAULT 0.0",
    "ALTER TABLE plans ADD COLUMN objective TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE plans ADD COLUMN preferred INTEGER NOT NULL DEFAULT 0",
};

// Element i leads from version i to version i + 1. Append; never change one that was released.
const std::array<std::span<const std::string_view>, 7> kMigrations = {kVersion1, kVersion2, kVersion3, kVersion4,
                                                                      kVersion5, kVersion6, kVersion7};
constexpr auto kPresentVersion = static_cast<std::int64_t>(std::tuple_size_v<decltype(kMigrations)>);

using Objects = std::map<std::string, std::string>;  // "table plans" to its statement

Objects schema_objects(const Database& database) {
  Objects objects;
  Statement statement = database.prepare(
      "SELECT type || ' ' || name, coalesce(sql, '') FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'");
  while (statement.step()) objects.emplace(statement.text(0), statement.text(1));
  return objects;
}

void apply_migrations(const Database& database, std::int64_t from, std::int64_t to) {
  for (std::int64_t version = from; version < to; ++version)
    for (const std::string_view sql : kMigrations[static_cast<std::size_t>(version)]) database.execute(sql);
  database.execute(fmt::format("PRAGMA application_id = {}", kApplicationId));
  database.execute(fmt::format("PRAGMA user_version = {}", to));
}

Objects objects_after(std::int64_t version) {
  const Database database("schema", Database::Access::memory);
  apply_migrations(database, 0, version);
  return schema_objects(database);
}

// A fresh store went through the same statements as an old one: what they leave is what a file must hold.
Objects expected_objects(std::int64_t version) {
  static const Objects present = objects_after(kPresentVersion);
  return version == kPresentVersion ? present : objects_after(version);
}

std::int64_t stored_version(const Database& database) {
  const std::int64_t version = database.integer("PRAGMA user_version");
  if (version > kPresentVersion)
    fail(ErrorKind::input, "{}: was written by a newer Duet (schema {}, this one knows {}): update Duet",
         database.name(), version, kPresentVersion);
  if (version < 0) fail(ErrorKind::input, "{}: schema version {} is impossible", database.name(), version);
  return version;
}

}  // namespace

void migrate_schema(const Database& database) {
  if (stored_version(database) == kPresentVersion) return;
  Transaction transaction(database);
  const std::int64_t version = stored_version(database);  // another process may have been first
  if (version == 0 && !schema_objects(database).empty())
    fail(ErrorKind::input, "{}: is another program's database: give a new file's name", database.name());
  apply_migrations(database, version, kPresentVersion);
  transaction.commit();
}

void check_schema(const Database& database) {
  const std::int64_t version = stored_version(database);
  if (version == 0)
    fail(ErrorKind::input, "{}: states no schema version: it is no plan store; give another file", database.name());
  if (database.integer("PRAGMA application_id") != kApplicationId)
    fail(ErrorKind::input, "{}: is not marked as a plan store of Duet", database.name());
  const Objects found = schema_objects(database), expected = expected_objects(version);
  for (const auto& [name, sql] : found) {
    const auto wanted = expected.find(name);
    if (wanted == expected.end())
      fail(ErrorKind::input, "{}: holds a {}, which is not part of a plan store", database.name(), printable(name));
    if (wanted->second != sql)
      fail(ErrorKind::input, "{}: {} does not have the columns of schema {}", database.name(), printable(name),
           version);
  }
  for (const auto& [name, sql] : expected)
    if (!found.contains(name)) fail(ErrorKind::input, "{}: {} is missing", database.name(), name);
}

bool is_of_older_version(const Database& database) { return stored_version(database) < kPresentVersion; }

std::unique_ptr<Database> migrated_copy(const Database& older) {
  auto copy = std::make_unique<Database>(older.name(), Database::Access::memory);
  older.copy_into(*copy);
  migrate_schema(*copy);
  return copy;
}

}  // namespace duet
