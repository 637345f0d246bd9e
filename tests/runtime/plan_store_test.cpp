#include "runtime/plan_store.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "runtime/image_choice.h"
#include "runtime/sqlite.h"
#include "tests/support/error_of.h"
#include "tests/support/sample_plan.h"
#include "tests/support/temp_dir.h"

namespace duet {
namespace {

CandidateRecord sample_candidate(int index) {
  return {.device = "Orin NX 25W",
          .problem = "gemm f16 m=50 n=2304 k=768",
          .config = fmt::format("block 64x64x32, variant {}", index),
          .source_hash = "feedbeef",
          .status = "ok",
          .detail = "it's \"fine\"",
          .provenance = Provenance::measured,
          .registers = 128,
          .spill_bytes = 4,
          .smem_bytes = 49152,
          .max_error = 0.001,
          .norm_error = 1e-5,
          .median_us = 12.5,
          .predicted_us = 11,
          .samples_us = {12.5, 12.4, 12.6},
          .environment = "918 MHz",
          .threads = 128,
          .blocks_per_sm = 3,
          .cost_s = 0.75};
}

bool same(const CandidateRecord& a, const CandidateRecord& b) {
  return a.device == b.device && a.problem == b.problem && a.config == b.config && a.source_hash == b.source_hash &&
         a.status == b.status && a.detail == b.detail && a.provenance == b.provenance && a.registers == b.registers &&
         a.spill_bytes == b.spill_bytes && a.smem_bytes == b.smem_bytes && a.max_error == b.max_error &&
         a.norm_error == b.norm_error && a.median_us == b.median_us && a.predicted_us == b.predicted_us &&
         a.samples_us == b.samples_us && a.environment == b.environment && a.threads == b.threads &&
         a.blocks_per_sm == b.blocks_per_sm && a.cost_s == b.cost_s;
}

class Store : public testing::Test {
 protected:
  PlanStore tune() { return PlanStore::open(path_, PlanStore::Mode::tune); }
  PlanStore read() { return PlanStore::open(path_, PlanStore::Mode::read_only); }
  // What versions 4 to 7 added to a store is taken from it.
  void make_version_3(const std::filesystem::path& path) const {
    const Database database(path, Database::Access::read_write);
    for (const char* column : {"streams", "energy_mj", "objective", "preferred"})
      database.execute(fmt::format("ALTER TABLE plans DROP COLUMN {}", column));
    database.execute("ALTER TABLE sessions DROP COLUMN points");
    database.execute("DROP TABLE choices");
    for (const char* column : {"threads", "blocks_per_sm", "cost_s"})
      database.execute(fmt::format("ALTER TABLE candidates DROP COLUMN {}", column));
    database.execute("PRAGMA user_version = 3");
  }
  TempDir dir_;
  std::filesystem::path path_ = dir_ / "plans #1?.db";  // characters that mean something in a URI
};

TEST_F(Store, PlansRoundTripExactly) {
  PlanStore store = tune();
  const std::int64_t id = store.put(sample_plan());
  EXPECT_EQ(store.load(id), sample_plan());
  const std::int64_t empty = store.put(Plan{});
  EXPECT_EQ(store.load(empty), Plan{});

  const std::vector<PlanSummary> list = tune().list();  // also after opening again
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].key, sample_plan().key);
  EXPECT_EQ(list[0].steps, 3);
  EXPECT_EQ(list[0].latency_us, 498.1);
  EXPECT_EQ(list[0].provenance, Provenance::measured);
  EXPECT_EQ(list[0].created.size(), 20u);
}

TEST_F(Store, AKernelMayHoldImagesOfTwoCudaMajors) {
  Plan plan = sample_plan();
  KernelImage older = sample_image("sm_87", 300);
  older.cuda_major = 12;
  older.compiler = "NVRTC 12.9";
  plan.kernels[0].images = {sample_image("sm_87", 300), older};
  PlanStore store = tune();
  const Plan loaded = store.load(store.put(plan));
  EXPECT_EQ(loaded, plan);
  EXPECT_EQ(choose_image(loaded.kernels[0], "sm_87", 12).compiler, "NVRTC 12.9");
  EXPECT_EQ(choose_image(loaded.kernels[0], "sm_87", 13).compiler, "NVRTC 13.0");
}

TEST_F(Store, APlanOfTheSameKeyIsReplaced) {
  PlanStore store = tune();
  Plan plan = sample_plan();
  store.put(plan);
  plan.figures.latency_us_samples.clear();
  plan.provenance = Provenance::predicted;
  plan.steps.pop_back();
  const std::int64_t id = store.put(plan);
  EXPECT_EQ(store.list().size(), 1u);
  EXPECT_EQ(store.load(id), plan);
  const Database database(path_, Database::Access::read_only);
  EXPECT_EQ(database.integer("SELECT count(*) FROM steps"), 2);  // nothing of the old plan stays
  EXPECT_EQ(database.integer("SELECT count(*) FROM images"), 2);
  EXPECT_EQ(database.integer("SELECT count(*) FROM measurements"), 0);
}

TEST_F(Store, TablesReadWellInSql) {
  tune().put(sample_plan());
  const Database database(path_, Database::Access::read_only);
  EXPECT_EQ(database.integer("SELECT count(*) FROM plans WHERE provenance = 'measured' AND precision = 'f16'"), 1);
  EXPECT_EQ(database.integer("SELECT length(bytes) FROM images WHERE arch = 'sm_87'"), 3000);
  EXPECT_EQ(database.integer("SELECT count(*) FROM measurements, json_each(samples_us)"), 3);
}

TEST_F(Store, ImagesOfTheEmulatorAreNotStored) {
  Plan plan = sample_plan();
  plan.kernels[1].images.push_back(sample_image("host", 100));
  PlanStore store = tune();
  EXPECT_EQ(store.load(store.put(plan)), sample_plan());
}

TEST_F(Store, RemoveRemovesEverything) {
  PlanStore store = tune();
  store.remove(store.put(sample_plan()));
  EXPECT_TRUE(store.list().empty());
  const Database database(path_, Database::Access::read_only);
  for (const char* table : {"kernels", "images", "steps", "weights", "tensors", "measurements"})
    EXPECT_EQ(database.integer(fmt::format("SELECT count(*) FROM {}", table)), 0) << table;
  error_of(ErrorKind::input, [&] { store.load(1); });
}

TEST_F(Store, InvalidPlansAreNotStored) {
  PlanStore store = tune();
  Plan plan = sample_plan();
  plan.kernels[0].images[0].bytes[0] ^= std::byte{1};
  EXPECT_NE(error_of(ErrorKind::input, [&] { store.put(plan); }).find("do not match their hash"), std::string::npos);
  plan = sample_plan();
  plan.steps[0].kernel = 5;
  error_of(ErrorKind::input, [&] { store.put(plan); });
  plan = sample_plan();
  plan.steps[0].name = "\xff\xfe";
  plan.weights[0].recipe.name = "\xff\xfe";
  EXPECT_NE(error_of(ErrorKind::input, [&] { store.put(plan); }).find("UTF-8"), std::string::npos);
  EXPECT_TRUE(store.list().empty());
}

TEST_F(Store, FindTellsWhy) {
  PlanStore store = tune();
  const Plan plan = sample_plan();
  store.put(plan);
  EXPECT_EQ(store.find(plan.key).plan, plan);
  PlanKey key = plan.key;
  key.device.power_mode = "15W";
  EXPECT_EQ(store.find(key).kind, MatchKind::other_mode);
  EXPECT_EQ(store.find(key).why, "same module, power mode 25W instead of 15W");
  EXPECT_EQ(store.find(key).plan, plan);
  key.model = "other";
  EXPECT_EQ(store.find(key).kind, MatchKind::none);
  EXPECT_FALSE(store.find(key).plan.has_value());
}

TEST_F(Store, CandidatesAreRememberedAndMeasurementsKept) {
  PlanStore store = tune();
  CandidateRecord candidate = sample_candidate(1);
  store.record(candidate);
  store.record(sample_candidate(2));
  const auto find = [&] {
    return store.find_candidate(candidate.device, candidate.problem, candidate.config, candidate.source_hash);
  };
  ASSERT_TRUE(find().has_value());
  EXPECT_TRUE(same(*find(), candidate));

  candidate.samples_us = {10, 11};
  candidate.median_us = 10.5;
  store.record(candidate);
  EXPECT_TRUE(same(*find(), candidate));
  candidate.status = "wrong result";
  candidate.samples_us.clear();
  candidate.max_error = HUGE_VAL;
  store.record(candidate);
  EXPECT_TRUE(same(*find(), candidate));
  candidate.max_error = std::nan("");
  store.record(candidate);
  EXPECT_TRUE(std::isnan(find()->max_error));

  EXPECT_EQ(store.candidates(candidate.device, candidate.problem).size(), 2u);
  EXPECT_TRUE(store.candidates("another", candidate.problem).empty());
  EXPECT_FALSE(store.find_candidate(candidate.device, candidate.problem, candidate.config, "other").has_value());
  const Database database(path_, Database::Access::read_only);
  EXPECT_EQ(database.integer("SELECT count(*) FROM measurements WHERE samples_us != '[]'"), 3);  // the old ones too
}

TEST_F(Store, ABatchIsKeptWholeOrNotAtAll) {
  PlanStore store = tune();
  std::vector<CandidateRecord> batch;
  for (int i = 0; i < 50; ++i) batch.push_back(sample_candidate(i));
  batch[3].attempts = 2;
  store.record_all(batch);
  store.record_all({});
  const auto stored = [&] { return store.candidates(batch[0].device, batch[0].problem); };
  ASSERT_EQ(stored().size(), 50u);
  EXPECT_EQ(stored()[3].attempts, 2);
  for (CandidateRecord& candidate : batch) candidate.source_hash = "other";
  // A row in the middle that the database refuses takes the rows before it along.
  Database(path_, Database::Access::read_write)
      .execute("CREATE TRIGGER refuse BEFORE INSERT ON candidates WHEN NEW.source_hash = 'other' AND NEW.config = '" +
               batch[25].config + "' BEGIN SELECT RAISE(ABORT, 'refused'); END");
  error_of(ErrorKind::input, [&] { store.record_all(batch); });
  EXPECT_EQ(stored().size(), 50u);
}

TEST_F(Store, WhatCannotRunIsCountedByReason) {
  PlanStore store = tune();
  const std::vector<InfeasibleCount> quick{{"quick", "too many threads", 4}}, wide{{"wide", "a", 7}, {"wide", "b", 9}};
  store.record_infeasible("Orin", "gemm", "wide", wide);
  store.record_infeasible("Orin", "gemm", "quick", quick);
  EXPECT_EQ(store.infeasible("Orin", "gemm"), (std::vector{quick[0], wide[0], wide[1]}));
  EXPECT_TRUE(store.infeasible("Thor", "gemm").empty());
  store.record_infeasible("Orin", "gemm", "wide", std::span(wide).first(1));  // the same space again, after an edit
  EXPECT_EQ(store.infeasible("Orin", "gemm"), (std::vector{quick[0], wide[0]}));
}

// Version 2 had a row for each candidate that could not run.
TEST_F(Store, RowsOfTheInfeasibleBecomeCountsWhenAnOlderStoreIsOpened) {
  tune().record(sample_candidate(1));
  make_version_3(path_);
  {
    const Database database(path_, Database::Access::read_write);
    database.execute("DROP TABLE infeasible");
    for (const char* config : {"a", "b", "c"})
      database.execute(
          fmt::format("INSERT INTO candidates (device, problem, config, source_hash, status, detail, "
                      "provenance, registers, spill_bytes, smem_bytes, environment, recorded) VALUES "
                      "('Orin', 'gemm', '{}', '', 'infeasible', 'too wide', 'predicted', 0, 0, 0, '', '')",
                      config));
    database.execute("PRAGMA user_version = 2");
  }
  const PlanStore store = tune();
  EXPECT_EQ(store.infeasible("Orin", "gemm"), (std::vector<InfeasibleCount>{{"", "too wide", 3}}));
  EXPECT_TRUE(store.candidates("Orin", "gemm").empty());
  EXPECT_EQ(store.candidates("Orin NX 25W", "gemm f16 m=50 n=2304 k=768").size(), 1u);
}

// A tuning database, and a shipped file that nothing may write to.
TEST_F(Store, AnOlderStoreIsReadAndLeftAsItIs) {
  const std::filesystem::path shipped = dir_ / "clip.duet";
  Plan of_version_3 = sample_plan();
  of_version_3.choices.clear();
  of_version_3.streams.clear();
  of_version_3.figures.energy_mj = 0;
  of_version_3.figures.objective.clear();
  {
    PlanStore store = tune();
    store.record(sample_candidate(1));
    store.export_to(shipped, {store.put(of_version_3)});
  }
  for (const std::filesystem::path& path : {path_, shipped}) {
    make_version_3(path);
    const std::string before = read_text_file(path, 1 << 20);
    const PlanStore store = PlanStore::open(path, PlanStore::Mode::read_only);
    EXPECT_EQ(store.load(store.list().at(0).id), of_version_3);
    store.export_to(dir_ / "again.duet", {store.list().at(0).id});
    EXPECT_EQ(read_text_file(path, 1 << 20), before);
  }
  const CandidateRecord old = read().candidates("Orin NX 25W", "gemm f16 m=50 n=2304 k=768").at(0);
  EXPECT_EQ(old.median_us, 12.5);
  EXPECT_EQ(old.threads, 0);
  EXPECT_EQ(old.blocks_per_sm, 0);
  EXPECT_EQ(old.cost_s, 0);
  tune().record(sample_candidate(1));  // opened for tuning, it is brought to the present version
  EXPECT_TRUE(same(read().candidates("Orin NX 25W", "gemm f16 m=50 n=2304 k=768").at(0), sample_candidate(1)));
}

TEST_F(Store, SpacesAreCountedByDeviceAndProblem) {
  PlanStore store = tune();
  EXPECT_TRUE(store.spaces().empty());
  for (int i = 0; i < 4; ++i) {
    CandidateRecord candidate = sample_candidate(i);
    candidate.median_us = 10 - i;
    if (i == 1) candidate.status = "crash";
    if (i == 2) candidate.median_us = 0;
    if (i == 3) candidate.provenance = Provenance::emulated;
    store.record(candidate);
  }
  CandidateRecord other = sample_candidate(0);
  other.device = "AGX";
  other.status = "spills";
  store.record(other);
  const std::vector<CandidateSpace> spaces = store.spaces();
  ASSERT_EQ(spaces.size(), 2u);
  EXPECT_EQ(spaces[0].device, "AGX");
  EXPECT_EQ(spaces[0].failed, 1);
  EXPECT_EQ(spaces[0].best_us, 0);
  EXPECT_EQ(spaces[1].problem, "gemm f16 m=50 n=2304 k=768");
  EXPECT_EQ(spaces[1].candidates, 4);
  EXPECT_EQ(spaces[1].timed, 1);
  EXPECT_EQ(spaces[1].failed, 1);
  EXPECT_EQ(spaces[1].best_us, 10);
}

TEST_F(Store, SessionsAreRowsFromTheirBeginning) {
  PlanStore store = tune();
  SessionRecord session{.device = "Orin NX 25W", .model = "clip", .variant = "baseline", .settings = "{}"};
  session.id = store.begin_session(session);
  ASSERT_EQ(store.sessions().size(), 1u);
  EXPECT_EQ(store.sessions()[0].outcome, "unfinished");
  EXPECT_TRUE(store.sessions()[0].finished.empty());
  session.outcome = "complete";
  session.verified = 12;
  session.elapsed_s = 3.5;
  session.points = {{"by turns", Provenance::measured, 310.5, 41.25, std::uint64_t{1} << 40, true},
                    {"plain launches", Provenance::predicted, 330, 0, 7, false}};
  store.finish_session(session);
  const SessionRecord found = store.sessions().at(0);
  EXPECT_EQ(found.id, session.id);
  EXPECT_EQ(found.variant, "baseline");
  EXPECT_EQ(found.outcome, "complete");
  EXPECT_EQ(found.verified, 12);
  EXPECT_EQ(found.elapsed_s, 3.5);
  EXPECT_EQ(found.points, session.points);
  EXPECT_FALSE(found.finished.empty());
  session.id = 77;
  error_of(ErrorKind::internal, [&] { store.finish_session(session); });
}

// Of a model's plans for one device one may be preferred, whatever its variant; a shipped file says so too.
TEST_F(Store, OneOfADevicesPlansIsPreferred) {
  PlanStore store = tune();
  const std::int64_t streams = store.put(sample_plan());
  Plan other = sample_plan();
  other.key.variant = "fused-sequential";
  const std::int64_t sequential = store.put(other);
  other.key.device.power_mode = "15W";
  const std::int64_t other_mode = store.put(other);
  const auto preferred = [](const PlanStore& of) {
    std::vector<std::int64_t> ids;
    for (const PlanSummary& plan : of.list())
      if (plan.preferred) ids.push_back(plan.id);
    return ids;
  };
  store.prefer(other_mode, true);
  store.prefer(sequential, true);
  EXPECT_EQ(preferred(store), (std::vector{sequential, other_mode}));
  store.prefer(streams, true);
  EXPECT_EQ(preferred(store), (std::vector{streams, other_mode}));
  EXPECT_TRUE(store.find(sample_plan().key).preferred);
  store.export_to(dir_ / "clip.duet", {sequential, streams});
  EXPECT_EQ(preferred(PlanStore::open(dir_ / "clip.duet", PlanStore::Mode::read_only)).size(), 1u);
  store.prefer(sequential, false);
  EXPECT_EQ(preferred(store), std::vector{other_mode});
  EXPECT_EQ(store.load(streams), sample_plan()) << "no part of the plan's digest";
}

TEST_F(Store, BenchmarksKeepEverySample) {
  PlanStore store = tune();
  const std::vector<BenchmarkRecord> cases{
      {.name = "clip/b1", .device = "d", .environment = "918 MHz", .median_us = 2, .samples_us = {1, 2, 3}},
      {.name = "clip/b2", .device = "d", .environment = "918 MHz", .median_us = 5, .samples_us = {5}}};
  store.record_benchmarks(cases);
  const std::vector<BenchmarkRecord> found = store.benchmarks();
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].name, "clip/b1");
  EXPECT_EQ(found[0].samples_us, cases[0].samples_us);
  EXPECT_EQ(found[1].median_us, 5);
  EXPECT_FALSE(found[1].recorded.empty());
}

TEST_F(Store, OnlyATuningDatabaseIsOne) {
  PlanStore store = tune();
  store.export_to(dir_ / "x.duet", {});
  EXPECT_TRUE(is_tuning_database(path_));
  EXPECT_FALSE(is_tuning_database(dir_ / "x.duet"));
  EXPECT_FALSE(is_tuning_database(dir_ / "absent"));
}

TEST_F(Store, ExportIsOneFileThatOpensInAReadOnlyFolder) {
  PlanStore store = tune();
  Plan other = sample_plan();
  other.key.batch = 8;
  const std::int64_t id = store.put(sample_plan());
  store.put(other);
  store.record(sample_candidate(1));
  const std::filesystem::path folder = dir_ / "shipped";
  std::filesystem::create_directory(folder);
  store.export_to(folder / "clip.duet", {id});
  store.export_to(folder / "clip.duet", {id});  // over an older one
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);

  std::filesystem::permissions(folder / "clip.duet", std::filesystem::perms(0444));
  std::filesystem::permissions(folder, std::filesystem::perms(0555));
  std::filesystem::permissions(dir_.path(), std::filesystem::perms(0755));
  const pid_t child = ::fork();
  if (child == 0) {  // root may write anywhere: be nobody
    if (::getuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) ::_exit(3);
    try {
      const PlanStore shipped = PlanStore::open(folder / "clip.duet", PlanStore::Mode::read_only);
      const bool good = shipped.list().size() == 1 && shipped.load(shipped.list()[0].id) == sample_plan() &&
                        shipped.list()[0].created == store.list()[0].created;
      ::_exit(good ? 0 : 1);
    } catch (const std::exception&) {
      ::_exit(2);
    }
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  std::filesystem::permissions(folder, std::filesystem::perms(0755));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);  // no journal appeared

  PlanStore shipped = PlanStore::open(folder / "clip.duet", PlanStore::Mode::read_only);
  error_of(ErrorKind::internal, [&] { shipped.put(sample_plan()); });
  EXPECT_TRUE(shipped.candidates("Orin NX 25W", "gemm f16 m=50 n=2304 k=768").empty());
  error_of(ErrorKind::input, [&] { store.export_to(dir_ / "absent/clip.duet", {id}); });
  error_of(ErrorKind::input, [&] { store.export_to(dir_ / "x.duet", {77}); });
}

TEST_F(Store, ATuningDatabaseReadsBackWhileItsJournalIsFull) {
  PlanStore store = tune();
  store.put(sample_plan());
  EXPECT_EQ(PlanStore::open(path_, PlanStore::Mode::read_only).list().size(), 1u);
}

// Each process opens (and perhaps creates) the store itself.
TEST_F(Store, TwoProcessesWriteAtOnce) {
  constexpr int kProcesses = 2, kRecords = 40;
  std::vector<pid_t> children;
  for (int process = 0; process < kProcesses; ++process) {
    const pid_t child = ::fork();
    if (child == 0) {
      try {
        PlanStore store = tune();
        for (int i = 0; i < kRecords; ++i) store.record(sample_candidate(process * kRecords + i));
        Plan plan = sample_plan();
        plan.key.batch = process + 1;
        store.put(plan);
        ::_exit(0);
      } catch (const std::exception& error) {
        std::fprintf(stderr, "child: %s\n", error.what());
        ::_exit(1);
      }
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  const PlanStore store = tune();
  EXPECT_EQ(store.candidates("Orin NX 25W", "gemm f16 m=50 n=2304 k=768").size(), 1u * kProcesses * kRecords);
  EXPECT_EQ(store.list().size(), 2u);
}

TEST_F(Store, AKilledWriterLosesOnlyWhatWasNotRecorded) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    PlanStore store = tune();
    for (int i = 0;; ++i) {
      store.record(sample_candidate(i));
      if (::write(ready[1], "x", 1) != 1) ::_exit(1);
    }
  }
  char seen[5];
  for (char& one : seen) ASSERT_EQ(::read(ready[0], &one, 1), 1);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
  PlanStore store = tune();
  const std::vector<CandidateRecord> found = store.candidates("Orin NX 25W", "gemm f16 m=50 n=2304 k=768");
  ASSERT_GE(found.size(), 5u);
  for (std::size_t i = 0; i < found.size(); ++i)
    EXPECT_TRUE(same(found[i], sample_candidate(static_cast<int>(i)))) << i;
  EXPECT_NO_THROW(store.record(sample_candidate(100000)));
}

}  // namespace
}  // namespace duet
