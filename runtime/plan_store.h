// The plan store: an SQLite database of plans, candidates and measurements. A `.duet` file is such a database with one
// model's plans, written for shipping.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/plan.h"
#include "runtime/plan_point.h"

namespace duet {

// Why a lookup gave what it gave.
enum class MatchKind { exact, other_mode, other_batch, other_device, none };
std::string_view match_kind_name(MatchKind kind);

// True for a database that tuning writes to; false for a finished `.duet` file, one of another make, or none.
bool is_tuning_database(const std::filesystem::path& path);

struct PlanMatch {
  MatchKind kind = MatchKind::none;
  std::string why{};  // "same module, power mode 15W instead of 25W"
  std::optional<Plan> plan{};
  bool preferred = false;  // as in PlanSummary
};

struct PlanSummary {
  std::int64_t id = 0;
  PlanKey key{};
  Provenance provenance = Provenance::predicted;
  int steps = 0;
  double latency_us = 0;
  bool preferred = false;  // to others of its device and batch, whatever their latency: PlanStore::prefer
  std::string created{};   // UTC, ISO 8601
};

// One candidate's outcome in a tuning run: everything measured or refused is kept.
struct CandidateRecord {
  std::string device{};       // fingerprint text
  std::string problem{};      // "gemm f16 m=50 n=2304 k=768 layer_norm bias": what was to be computed
  std::string config{};       // "block 64x64x32, ..."
  std::string source_hash{};  // with the templates' hash and the compiler: the measurement's identity
  std::string status{};       // "ok", "infeasible", "compile error", "wrong result", "timeout", "crash"
  std::string detail{};       // reason, log, worst element
  Provenance provenance = Provenance::predicted;
  int registers = 0, spill_bytes = 0, smem_bytes = 0;
  double max_error = 0, norm_error = 0;
  double median_us = 0, predicted_us = 0;
  std::vector<double> samples_us{};
  std::string environment{};
  int attempts = 1;  // runs in which it was tried; more than one where the device or the harness failed before
  int threads = 0, blocks_per_sm = 0;  // of a block; resident at once. 0: not recorded, by an older Duet
  double cost_s = 0;                   // spent on compiling (nothing when cached), verifying and timing it
};

// What is recorded of one problem on one device, in numbers.
struct CandidateSpace {
  std::string device{}, problem{};
  int candidates = 0, timed = 0, failed = 0;  // the rest ran, and was not timed
  double best_us = 0;                         // of those timed
};

// Candidates of one search space that cannot run, counted by reason: no row each, since a space holds tens of
// thousands.
struct InfeasibleCount {
  std::string space{}, reason{};
  int candidates = 0;
  friend bool operator==(const InfeasibleCount&, const InfeasibleCount&) = default;
};

// One run of the tuner: what was asked, and what came of it.
struct SessionRecord {
  std::int64_t id = 0;
  std::string device{};                // fingerprint text
  std::string model{}, variant{};      // "clip-vit-b32", "fused-streams"
  std::string settings{};              // JSON: space, strategy, limits, seed
  std::string commit{};                // of Duet; empty when unknown
  std::string outcome = "unfinished";  // "complete", "interrupted", "failed: why"; killed runs stay "unfinished"
  int candidates = 0, compiled = 0, cached = 0, verified = 0, infeasible = 0, failed = 0;
  double elapsed_s = 0;
  std::vector<PlanPoint> points{};    // the Pareto set of the plans it tried, and the one it stored
  std::string started{}, finished{};  // UTC, ISO 8601; finished is empty until then
};

// One timed case of `duet bench`.
struct BenchmarkRecord {
  std::string name{};         // "clip-vit-b32/b1/f16/fused-streams"
  std::string device{};       // fingerprint text
  std::string environment{};  // clocks, power mode, caches
  double median_us = 0;
  std::vector<double> samples_us{};
  std::string recorded{};  // UTC, ISO 8601; filled in when written
};

// What a merge added, or replaced by something newer.
struct MergeCounts {
  int plans = 0, candidates = 0, measurements = 0, infeasible = 0, sessions = 0, benchmarks = 0;
  int total() const { return plans + candidates + measurements + infeasible + sessions + benchmarks; }
  friend bool operator==(const MergeCounts&, const MergeCounts&) = default;
};

class PlanStore {
 public:
  enum class Mode { tune, read_only };
  // tune: created when absent, WAL, migrations applied. read_only: immutable, schema not trusted; an older one is read
  // as it would be after its migrations, and left as it is. Throws Error(input): not a database, newer schema, damaged;
  // Error(missing): no such file (read_only).
  static PlanStore open(const std::filesystem::path& path, Mode mode);
  PlanStore(PlanStore&&) noexcept;
  PlanStore& operator=(PlanStore&&) noexcept;
  ~PlanStore();

  // Replaces a plan of the same key. Returns its id.
  std::int64_t put(const Plan& plan);
  PlanMatch find(const PlanKey& key) const;
  std::vector<PlanSummary> list() const;
  Plan load(std::int64_t id) const;  // images are checked against their hashes: Error(input)
  void remove(std::int64_t id);
  // Makes this plan the one to run of those of its graph, batch, precision and device, of whatever variant; or, without
  // `preferred`, none of them: the fastest runs.
  void prefer(std::int64_t id, bool preferred);
  // Of the compiled kernels of all plans but these.
  std::set<std::string> image_hashes(const std::set<std::int64_t>& but = {}) const;
  std::uint64_t image_bytes(std::int64_t id) const;
  // Gives the room of removed rows back to the disk; false when another process is at work in the store, whose later
  // rows then use it.
  bool compact();

  // Adds what the others hold and this one lacks, all in one transaction; merging them again changes nothing. Every
  // measurement, session and benchmark is kept. Of two outcomes of one candidate the newer stays, of two plans of one
  // key the firmer, then the newer. Throws Error(input) when one of them is damaged; this one is then as it was.
  MergeCounts merge(std::span<const PlanStore> others);

  void record(const CandidateRecord& candidate);
  // All of them in one transaction: all are kept, or none.
  void record_all(std::span<const CandidateRecord> candidates);
  // The stored outcome of exactly this candidate on this device, if any.
  std::optional<CandidateRecord> find_candidate(std::string_view device, std::string_view problem,
                                                std::string_view config, std::string_view source_hash) const;
  std::vector<CandidateRecord> candidates(std::string_view device, std::string_view problem) const;
  // By device and problem.
  std::vector<CandidateSpace> spaces() const;

  // Replaces what an earlier run recorded of the space that `counts` are of. Each reason comes once.
  void record_infeasible(std::string_view device, std::string_view problem, std::string_view space,
                         std::span<const InfeasibleCount> counts);
  std::vector<InfeasibleCount> infeasible(std::string_view device, std::string_view problem) const;

  // The row of a run that begins now; its outcome is written by finish_session under the same id.
  std::int64_t begin_session(const SessionRecord& session);
  void finish_session(const SessionRecord& session);
  std::vector<SessionRecord> sessions() const;

  // With every sample, in one transaction.
  void record_benchmarks(std::span<const BenchmarkRecord> benchmarks);
  std::vector<BenchmarkRecord> benchmarks() const;

  // Writes the given plans into a new `.duet` file (VACUUM INTO: no WAL, one file).
  void export_to(const std::filesystem::path& path, const std::vector<std::int64_t>& plan_ids) const;

 private:
  struct State;
  explicit PlanStore(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace duet
