// Tuning that is killed, interrupted, crowded or out of room.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include <chrono>
#include <random>
#include <thread>

#include "runtime/sqlite.h"
#include "tests/cli/cli_fixture.h"

namespace duet {
namespace {

constexpr std::uint64_t kFullAtBytes = 150 * 1024;  // the empty tables and their journal fit, the run does not

constexpr std::uint64_t kDiskBytes = 192 * 1024;

// A file system in memory that holds so many bytes.
class SmallDisk {
 public:
  SmallDisk(std::filesystem::path folder, std::uint64_t bytes) : folder_(std::move(folder)) {
    std::filesystem::create_directories(folder_);
    mounted_ = ::mount("none", folder_.c_str(), "tmpfs", 0, size_option(bytes).c_str()) == 0;
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    if (mounted_) ::umount2(folder_.c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  bool resize(std::uint64_t bytes) const {
    return ::mount("none", folder_.c_str(), "tmpfs", MS_REMOUNT, size_option(bytes).c_str()) == 0;
  }

 private:
  static std::string size_option(std::uint64_t bytes) { return "size=" + std::to_string(bytes); }

  std::filesystem::path folder_;
  bool mounted_ = false;
};

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

  std::int64_t candidate_count(const std::string& database) const {
    if (!std::filesystem::exists(folder_ / database)) return 0;
    const Database opened(folder_ / database, Database::Access::read_write);  // recovers, as the next run would
    const std::string table = "FROM sqlite_master WHERE name = 'candidates'";
    return opened.integer("SELECT count(*) " + table) == 0 ? 0 : opened.integer("SELECT count(*) FROM candidates");
  }

  // A run that ends for want of room: progress, and then one line, the only one of its kind.
  void expect_no_room(const std::string& database) const {
    const Outcome outcome = run(tune(database));
    EXPECT_EQ(outcome.exit_code, 3) << outcome.err;
    const std::size_t message = outcome.err.find("duet: ");
    ASSERT_NE(message, std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.err.find('\n', message), outcome.err.size() - 1) << outcome.err;
    EXPECT_NE(outcome.err.find(database + ": ", message), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find("make room", message), std::string::npos) << outcome.err;
    fmt::print("{}", outcome.err.substr(message));
  }

  // The run after those that were disturbed comes to what an undisturbed one comes to.
  void expect_same_plan(const std::string& database, const std::string& undisturbed) const {
    expect_exit(0, tune(database));
    expect_sound(database);
    EXPECT_EQ(plan_of(database), plan_of(undisturbed));
    EXPECT_EQ(candidates_of(database), candidates_of(undisturbed));
  }

  void expect_sound(const std::string& database) const {
    const Database opened(folder_ / database, Database::Access::read_only);
    Statement check = opened.prepare("PRAGMA integrity_check");
    ASSERT_TRUE(check.step());
    EXPECT_EQ(check.text(0), "ok");
    EXPECT_FALSE(opened.prepare("PRAGMA foreign_key_check").step());
  }
};

// Killed at random moments and started again each time; what ends before its kill gives way to a fresh database.
TEST_F(Resilience, AKilledRunResumesToTheSamePlan) {
  expect_exit(0, tune("calm.db"));
  const double undisturbed_s = expect_exit(0, tune("again.db")).seconds;  // with all kernels compiled, as those below
  const int wanted = long_tests() ? 20 : 4;
  std::mt19937 random(7);
  std::vector<std::string> databases{"killed0.db"};
  std::int64_t recorded = 0;
  for (int run = 0, kills = 0; kills < wanted; ++run) {
    ASSERT_LT(run, 10 * wanted) << "hardly a run is caught alive";
    DuetProcess process(tune(databases.back()), options_);
    const double share = std::uniform_real_distribution<double>(0.05, 0.95)(random);
    std::this_thread::sleep_for(std::chrono::duration<double>(share * undisturbed_s));
    process.signal_command(SIGKILL);
    const Outcome outcome = process.wait();
    const bool killed = outcome.signal == SIGKILL;
    EXPECT_TRUE(killed || outcome.exit_code == 0) << outcome.err;
    const std::int64_t now = candidate_count(databases.back());
    EXPECT_GE(now, recorded) << "what was recorded before is lost";
    fmt::print("{}: {} after {:.2f} of {:.2f} s, {} candidates recorded\n", databases.back(),
               killed ? "killed" : "ended", outcome.seconds, undisturbed_s, now);
    kills += killed ? 1 : 0;
    recorded = killed ? now : 0;
    if (!killed) databases.push_back(fmt::format("killed{}.db", databases.size()));
  }
  for (const std::string& database : databases) {
    expect_same_plan(database, "calm.db");
    EXPECT_EQ(count(database, "SELECT count(*) FROM candidates WHERE attempts != 1"), 0);
    EXPECT_GE(count(database, "SELECT count(*) FROM sessions WHERE outcome = 'complete'"), 1);
  }
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

// One candidate in five is faulty: the run ends with sound kernels, and each fault is recorded with its cause.
TEST_F(Resilience, AFaultDrillOnTheEmulatorLosesFaultyCandidatesOnly) {
  const nlohmann::json report = expect_json({"tune", "tiny-dual", "--tower", "text", "--target", "emulator", "--space",
                                             "quick", "--max-candidates", "2", "--no-baseline", "--drill-faults", "4",
                                             "--candidate-timeout-s", "5", "--db", "drill.db", "--json"});
  ASSERT_TRUE(report.is_object());
  const nlohmann::json& tuned = report["tuned"];
  ASSERT_FALSE(tuned["drill"].empty());
  for (const nlohmann::json& outcome : tuned["drill"]) {
    EXPECT_TRUE(outcome["as_expected"].get<bool>()) << outcome.dump();
    EXPECT_FALSE(outcome["cause"].get<std::string>().empty()) << outcome.dump();
  }
  EXPECT_EQ(tuned["failed"], tuned["drill"].size()) << "nothing else is lost";
  EXPECT_EQ(count("drill.db", "SELECT count(*) FROM kernels WHERE source LIKE '%fault drill%'"), 0);
  expect_sound("drill.db");
}

TEST_F(Resilience, ATooLargeFileIsOneLineAndLeavesASoundDatabase) {
  expect_exit(0, tune("calm.db"));
  options_.file_bytes = kFullAtBytes;
  expect_no_room("full.db");
  options_.file_bytes = 0;
  expect_sound("full.db");
  expect_same_plan("full.db", "calm.db");
}

TEST_F(Resilience, AFullDiskIsOneLineAndLeavesASoundDatabase) {
  expect_exit(0, tune("calm.db"));
  const SmallDisk disk(folder_ / "disk", kDiskBytes);
  if (!disk.mounted()) GTEST_SKIP() << "a disk of its own needs the right to mount one";
  expect_no_room("disk/full.db");
  ASSERT_TRUE(disk.resize(100 * kDiskBytes));
  expect_sound("disk/full.db");
  expect_same_plan("disk/full.db", "calm.db");
}

TEST_F(Resilience, AReadOnlyFolderIsReadAndNotWritten) {
  expect_exit(0, short_tune("t.db"));
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
  fmt::print("{}{}", tuned.err, fresh.err);
  const Outcome generated = run({"generate", "tiny-dual", "--output", "kernels"});
  EXPECT_EQ(generated.exit_code, 3);
  EXPECT_EQ(line_count(generated.err), 1) << generated.err;
  std::filesystem::permissions(folder_.path(), std::filesystem::perms(0755));
}

}  // namespace
}  // namespace duet
