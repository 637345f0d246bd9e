// Tuning that is killed, interrupted, crowded or out of room.
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <random>
#include <thread>

#include "runtime/sqlite.h"
#include "tests/cli/cli_fixture.h"

namespace duet {
namespace {

constexpr std::uint64_t kFullAtBytes = 150 * 1024;  // the empty tables and their journal fit, the run does not

bool long_tests() { return ::getenv("DUET_LONG_TESTS") != nullptr; }

class Resilience : public CommandTest {
 protected:
  // All candidates of the small space in the drills that take minutes; else the first of each kernel.
  static Arguments tune(const std::string& database) {
    if (!long_tests()) return short_tune(database);
    return {"tune", "tiny-dual", "--target", "emulator", "--space", "quick", "--jobs", "1", "--db", database};
  }

  // Kernels and their configurations, and the steps that run them.
  nlohmann::json plan_of(const std::string& database) const {
    nlohmann::json plans = nlohmann::json::array();
    for (const nlohmann::json& summary : expect_json({"plans", "list", "--db", database, "--json"})) {
      const nlohmann::json plan =
          expect_json({"plans", "show", std::to_string(summary["id"].get<int>()), "--db", database, "--json"});
      nlohmann::json kept{{"variant", plan["key"]["variant"]}, {"steps", nlohmann::json::array()}};
      for (const nlohmann::json& kernel : plan["kernels"])
        kept["kernels"].push_back({kernel["entry"], kernel["config"]});
      for (const nlohmann::json& step : plan["steps"]) kept["steps"].push_back({step["name"], step["kernel"]});
      plans.push_back(kept);
    }
    return plans;
  }

  // Every candidate with what came of it, in a fixed order.
  std::vector<std::string> candidates_of(const std::string& database) const {
    const Database opened(folder_ / database, Database::Access::read_only);
    Statement statement = opened.prepare(
        "SELECT problem || '|' || config || '|' || source_hash || '|' || status FROM candidates UNION ALL "
        "SELECT problem || '|' || reason || '|' || space || '|' || candidates FROM infeasible ORDER BY 1");
    std::vector<std::string> rows;
    while (statement.step()) rows.push_back(statement.text(0));
    return rows;
  }

  std::int64_t count(const std::string& database, const std::string& sql) const {
    return Database(folder_ / database, Database::Access::read_only).integer(sql);
  }

  void expect_sound(const std::string& database) const {
    const Database opened(folder_ / database, Database::Access::read_only);
    Statement check = opened.prepare("PRAGMA integrity_check");
    ASSERT_TRUE(check.step());
    EXPECT_EQ(check.text(0), "ok");
    EXPECT_FALSE(opened.prepare("PRAGMA foreign_key_check").step());
  }
};

TEST_F(Resilience, AKilledRunResumesToTheSamePlan) {
  const double undisturbed_s = expect_exit(0, tune("calm.db")).seconds;
  std::mt19937 random(7);
  const int kills = long_tests() ? 10 : 4;
  for (int i = 0; i < kills; ++i) {
    DuetProcess process(tune("killed.db"), options_);
    const double share = std::uniform_real_distribution<double>(0.02, 0.95)(random);
    std::this_thread::sleep_for(std::chrono::duration<double>(share * undisturbed_s));
    process.signal_command(SIGKILL);
    const Outcome outcome = process.wait();
    EXPECT_TRUE(outcome.signal == SIGKILL || outcome.exit_code == 0) << outcome.err;
  }
  expect_exit(0, tune("killed.db"));
  expect_sound("killed.db");
  EXPECT_EQ(plan_of("killed.db"), plan_of("calm.db"));
  EXPECT_EQ(candidates_of("killed.db"), candidates_of("calm.db"));
  EXPECT_GE(count("killed.db", "SELECT count(*) FROM sessions WHERE outcome = 'complete'"), 1);
}

TEST_F(Resilience, TwoTunersShareADatabase) {
  expect_exit(0, tune("calm.db"));
  DuetProcess first(tune("shared.db"), options_), second(tune("shared.db"), options_);
  for (DuetProcess* process : {&first, &second}) {
    const Outcome outcome = process->wait();
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  }
  expect_sound("shared.db");
  EXPECT_EQ(plan_of("shared.db"), plan_of("calm.db"));
  EXPECT_EQ(candidates_of("shared.db"), candidates_of("calm.db"));
}

TEST_F(Resilience, AnInterruptKeepsWhatWasFound) {
  expect_exit(0, short_tune("warm.db"));
  DuetProcess process(
      {"tune", "tiny-dual", "--target", "emulator", "--space", "quick", "--no-baseline", "--db", "i.db"}, options_);
  ASSERT_TRUE(process.wait_for_message("verify"));
  process.signal_group(SIGINT);  // as a terminal does: to the command and all it started
  const Outcome outcome = process.wait();
  EXPECT_EQ(outcome.exit_code, 130) << outcome.err;
  EXPECT_EQ(expect_json({"plans", "list", "--db", "i.db", "--json"}).size(), 1u);
  EXPECT_EQ(count("i.db", "SELECT count(*) FROM sessions WHERE outcome = 'interrupted'"), 1);
  EXPECT_EQ(count("i.db", "SELECT count(*) FROM candidates WHERE status NOT IN ('ok', 'infeasible')"), 0);
  expect_sound("i.db");
}

TEST_F(Resilience, AFullDiskIsOneLineAndLeavesASoundDatabase) {
  expect_exit(0, tune("calm.db"));
  options_.file_bytes = kFullAtBytes;
  const Outcome outcome = run(tune("full.db"));
  EXPECT_EQ(outcome.exit_code, 3) << outcome.err;
  EXPECT_EQ(outcome.err.find('\n', outcome.err.rfind("duet: ")), outcome.err.size() - 1) << outcome.err;
  options_.file_bytes = 0;
  expect_sound("full.db");
  expect_exit(0, tune("full.db"));
  EXPECT_EQ(plan_of("full.db"), plan_of("calm.db"));
}

TEST_F(Resilience, AReadOnlyFolderIsReadAndNotWritten) {
  expect_exit(0, tune("t.db"));
  expect_exit(0, {"plans", "export", "t.duet", "--db", "t.db"});
  std::filesystem::permissions(folder_.path(), std::filesystem::perms(0555));
  options_.unprivileged = true;
  if (run({"--version"}).exit_code != 0) GTEST_SKIP() << "nobody cannot reach the build folder";
  EXPECT_EQ(expect_json({"plans", "list", "--db", "t.duet", "--json"}).size(), 1u);
  const Outcome tuned = run({"plans", "remove", "1", "--db", "t.duet"});
  EXPECT_EQ(tuned.exit_code, 3);
  EXPECT_EQ(line_count(tuned.err), 1) << tuned.err;
  const Outcome fresh = run(short_tune("new.db"));
  EXPECT_EQ(fresh.exit_code, 3);
  EXPECT_EQ(line_count(fresh.err), 1) << fresh.err;
  const Outcome generated = run({"generate", "tiny-dual", "--output", "kernels"});
  EXPECT_EQ(generated.exit_code, 3);
  EXPECT_EQ(line_count(generated.err), 1) << generated.err;
  std::filesystem::permissions(folder_.path(), std::filesystem::perms(0755));
}

}  // namespace
}  // namespace duet
