// Stores of several boards joined into one, and what a store no longer needs.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "runtime/plan_store.h"
#include "runtime/sqlite.h"
#include "runtime/store_gc.h"
#include "tests/support/error_of.h"
#include "tests/support/sample_plan.h"
#include "tests/support/temp_dir.h"

namespace duet {
namespace {

constexpr const char* kProblem = "gemm m=50";

class Merge : public testing::Test {
 protected:
  PlanStore open(const std::string& name) { return PlanStore::open(dir_ / name, PlanStore::Mode::tune); }
  MergeCounts merge(const std::string& into, const std::vector<std::string>& names) {
    std::vector<PlanStore> others;
    for (const std::string& name : names) others.push_back(PlanStore::open(dir_ / name, PlanStore::Mode::read_only));
    return open(into).merge(others);
  }
  void execute(const std::string& name, const std::string& sql) const {
    Database(dir_ / name, Database::Access::read_write).execute(sql);
  }
  // Everything in it but the rows' numbers.
  std::vector<std::string> rows(const std::string& name) const {
    const Database database(dir_ / name, Database::Access::read_only);
    std::vector<std::string> rows;
    for (const char* sql :
         {"SELECT digest || created FROM plans ORDER BY 1", "SELECT hash FROM images ORDER BY 1",
          "SELECT device || problem || config || source_hash || status || median_us || recorded FROM candidates "
          "ORDER BY 1",
          "SELECT coalesce(config, name, '') || measurements.environment || measurements.recorded || samples_us FROM "
          "measurements LEFT JOIN candidates ON candidates.id = candidate_id LEFT JOIN benchmarks ON benchmarks.id = "
          "benchmark_id ORDER BY 1",
          "SELECT device || problem || space || reason || candidates FROM infeasible ORDER BY 1",
          "SELECT device || settings || started || outcome || coalesce(finished, '') FROM sessions ORDER BY 1",
          "SELECT name || device || recorded || median_us FROM benchmarks ORDER BY 1"}) {
      Statement statement = database.prepare(sql);
      while (statement.step()) rows.push_back(statement.text(0));
    }
    return rows;
  }
  // One of everything, of a board of this name.
  void fill(const std::string& name, const std::string& board, int batch) {
    PlanStore store = open(name);
    Plan plan = sample_plan();
    plan.key.batch = batch;
    store.put(plan);
    store.record(candidate(board, 10));
    const std::vector<InfeasibleCount> counts{{"wide", "too many threads", 4}};
    store.record_infeasible(board, kProblem, "wide", counts);
    SessionRecord session{.device = board, .model = "clip"};
    session.id = store.begin_session(session);
    session.outcome = "complete";
    session.points = {{"by turns", Provenance::measured, 9, 1.5, 4096, true}};
    store.finish_session(session);
    const std::vector<BenchmarkRecord> bench{{.name = "clip", .device = board, .median_us = 9, .samples_us = {9, 9}}};
    store.record_benchmarks(bench);
  }
  static CandidateRecord candidate(const std::string& board, double median_us, const std::string& config = "a") {
    return {.device = board,
            .problem = kProblem,
            .config = config,
            .source_hash = "feed",
            .status = "ok",
            .provenance = Provenance::measured,
            .median_us = median_us,
            .samples_us = {median_us, median_us},
            .environment = "918 MHz"};
  }
  // As if it was recorded at this time.
  void date(const std::string& name, const std::string& time) const {
    for (const char* table : {"candidates", "measurements"})
      execute(name, fmt::format("UPDATE {} SET recorded = '{}'", table, time));
    execute(name, fmt::format("UPDATE plans SET created = '{}'", time));
  }
  TempDir dir_;
};

TEST_F(Merge, JoinsBoardsAndMergingAgainChangesNothing) {
  fill("a.db", "board a", 1);
  fill("b.db", "board b", 2);
  const MergeCounts counts = merge("all.db", {"a.db", "b.db"});
  EXPECT_EQ(counts, (MergeCounts{2, 2, 2, 2, 2, 2}));
  EXPECT_EQ(rows("all.db").size(), rows("a.db").size() + rows("b.db").size());
  const std::vector<std::string> once = rows("all.db");
  EXPECT_EQ(merge("all.db", {"a.db", "b.db", "all.db"}).total(), 0);
  EXPECT_EQ(rows("all.db"), once);
  merge("other.db", {"b.db"});
  merge("other.db", {"all.db", "a.db"});
  EXPECT_EQ(rows("other.db"), once) << "the order matters";
  EXPECT_EQ(open("all.db").load(1).choices, sample_plan().choices);
  ASSERT_EQ(open("all.db").sessions().size(), 2u);
  for (const SessionRecord& session : open("all.db").sessions()) EXPECT_EQ(session.points.at(0).energy_mj, 1.5);
}

TEST_F(Merge, TheNewerOutcomeStaysAndEveryMeasurement) {
  open("old.db").record(candidate("board", 20));
  open("new.db").record(candidate("board", 10));
  date("old.db", "2026-01-01T00:00:00Z");
  date("new.db", "2026-01-02T00:00:00Z");
  for (const std::vector<std::string>& order : {std::vector<std::string>{"old.db", "new.db"}, {"new.db", "old.db"}}) {
    const std::string into = "from-" + order.front();
    EXPECT_EQ(merge(into, order).measurements, 2);
    const std::vector<CandidateRecord> found = open(into).candidates("board", kProblem);
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].median_us, 10);
    EXPECT_EQ(found[0].samples_us, (std::vector<double>{10, 10}));
    EXPECT_EQ(merge(into, order).total(), 0);
  }
}

TEST_F(Merge, AFailureDoesNotShowTheSamplesOfAnOlderSuccess) {
  open("old.db").record(candidate("board", 20));
  CandidateRecord failed = candidate("board", 0);
  failed.status = "wrong result";
  failed.samples_us.clear();
  open("new.db").record(failed);
  date("old.db", "2026-01-01T00:00:00Z");
  date("new.db", "2026-01-02T00:00:00Z");
  for (const std::vector<std::string>& order : {std::vector<std::string>{"old.db", "new.db"}, {"new.db", "old.db"}}) {
    const std::string into = "from-" + order.front();
    merge(into, order);
    const CandidateRecord found = open(into).candidates("board", kProblem).at(0);
    EXPECT_EQ(found.status, "wrong result");
    EXPECT_TRUE(found.samples_us.empty());
    EXPECT_EQ(merge(into, order).total(), 0);
  }
}

TEST_F(Merge, OfPlansOfOneKeyTheFirmerThenTheNewerStays) {
  Plan plan = sample_plan();
  open("measured.db").put(plan);
  plan.provenance = Provenance::predicted;
  open("predicted.db").put(plan);
  date("measured.db", "2026-01-01T00:00:00Z");
  date("predicted.db", "2026-01-02T00:00:00Z");
  merge("all.db", {"predicted.db", "measured.db"});
  ASSERT_EQ(open("all.db").list().size(), 1u);
  EXPECT_EQ(open("all.db").list()[0].provenance, Provenance::measured);
  EXPECT_EQ(open("all.db").list()[0].created, "2026-01-01T00:00:00Z");
  EXPECT_EQ(merge("all.db", {"predicted.db"}).plans, 0);
}

TEST_F(Merge, APreferredPlanStaysPreferred) {
  {
    PlanStore store = open("a.db");
    store.prefer(store.put(sample_plan()), true);
  }
  merge("all.db", {"a.db"});
  EXPECT_TRUE(open("all.db").list().at(0).preferred);
}

TEST_F(Merge, ARunThatWentOnWhenItWasCopiedIsOneRun) {
  SessionRecord session{.device = "board", .model = "clip"};
  {
    PlanStore store = open("run.db");
    session.id = store.begin_session(session);
  }
  merge("all.db", {"run.db"});
  session.outcome = "complete";
  open("run.db").finish_session(session);
  EXPECT_EQ(merge("all.db", {"run.db"}).sessions, 1);
  ASSERT_EQ(open("all.db").sessions().size(), 1u);
  EXPECT_EQ(open("all.db").sessions()[0].outcome, "complete");
}

TEST_F(Merge, WhatIsDamagedLeavesEverythingAsItWas) {
  fill("a.db", "board a", 1);
  fill("good.db", "board b", 2);
  const std::vector<std::string> before = rows("a.db");
  const auto refused = [&](const std::string& name) {
    const std::string message = error_of(ErrorKind::input, [&] { merge("a.db", {"good.db", name}); });
    EXPECT_NE(message.find(name), std::string::npos) << message;
    EXPECT_EQ(rows("a.db"), before) << message;
  };
  fill("image.db", "board c", 3);
  execute("image.db", "UPDATE images SET bytes = zeroblob(10)");
  refused("image.db");
  fill("samples.db", "board c", 3);
  execute("samples.db", "UPDATE measurements SET samples_us = '[1, oops]' WHERE candidate_id IS NOT NULL");
  refused("samples.db");
  fill("type.db", "board c", 3);
  execute("type.db", "UPDATE infeasible SET candidates = 'many'");
  refused("type.db");
  publish_file(dir_ / "text.db", std::string("not a database at all, whatever its name says"));
  refused("text.db");
}

// A tuner writes while its store is merged, and while another is merged into its own.
TEST_F(Merge, IsSafeBesideAWriter) {
  fill("a.db", "board a", 1);
  open("busy.db");
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    PlanStore store = open("busy.db");
    for (int i = 0;; ++i) {
      store.record(candidate("board b", 10, fmt::format("config {}", i)));
      if (::write(ready[1], "x", 1) != 1) ::_exit(1);
    }
  }
  char seen = 0;
  ASSERT_EQ(::read(ready[0], &seen, 1), 1);
  EXPECT_GE(merge("all.db", {"busy.db"}).candidates, 1);
  EXPECT_EQ(merge("busy.db", {"a.db"}).candidates, 1);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
  const std::size_t written = open("busy.db").candidates("board b", kProblem).size();
  merge("all.db", {"busy.db"});
  EXPECT_EQ(open("all.db").candidates("board b", kProblem).size(), written);
  EXPECT_EQ(open("all.db").candidates("board a", kProblem).size(), 1u);
}

TEST(Superseded, IsAPlanWithANewerOneOfTheSameUse) {
  const auto plan = [](std::int64_t id, const std::string& created, auto change) {
    PlanSummary summary{.id = id, .key = sample_plan().key, .provenance = Provenance::measured, .created = created};
    change(summary);
    return summary;
  };
  const auto nothing = [](PlanSummary&) {};
  const std::vector<PlanSummary> plans{
      plan(1, "2026-01-02", nothing),
      plan(2, "2026-01-01", [](PlanSummary& p) { p.key.graph_hash = "older"; }),
      plan(3, "2026-01-01", [](PlanSummary& p) { p.key.device.driver_version = 12000; }),
      plan(4, "2026-01-01", [](PlanSummary& p) { p.key.batch = 8; }),
      plan(5, "2026-01-01", [](PlanSummary& p) { p.key.device.power_mode = "15W"; }),
      plan(6, "2026-01-03", [](PlanSummary& p) { p.key.graph_hash = "guess", p.provenance = Provenance::predicted; }),
  };
  std::vector<std::int64_t> ids;
  for (const PlanSummary& superseded : superseded_plans(plans)) ids.push_back(superseded.id);
  EXPECT_EQ(ids, (std::vector<std::int64_t>{2, 3}));
}

}  // namespace
}  // namespace duet
