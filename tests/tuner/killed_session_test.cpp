// Tuning with a device that measures, killed at random moments and started again: in the end every candidate was timed,
// and its samples are stored once, beside those of the race of the fastest.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <random>
#include <thread>

#include "runtime/sqlite.h"
#include "tests/support/temp_dir.h"
#include "tests/tuner/adding_device.h"
#include "tests/tuner/fakes.h"
#include "tests/tuner/small_graphs.h"
#include "tuner/tuning_session.h"

namespace duet {
namespace {

using Seconds = std::chrono::duration<double>;

class KilledSession : public testing::Test {
 protected:
  static Plan tune(const std::filesystem::path& database) {
    PlanStore store = PlanStore::open(database, PlanStore::Mode::tune);
    AddingDevice device;
    device.mutable_info().can_measure = true;
    device.mutable_info().fingerprint.l2_bytes = 4 << 20;
    FakeCompiler compiler;
    compiler.delay = std::chrono::milliseconds(2);
    TuneRequest request;
    request.graph = add_graph();
    request.target = "test-orin";
    request.device = test_device();
    request.space = small_space();
    request.jobs = 1;
    return TuningSession(&device, &compiler, store).tune(request).plan;
  }

  // True when the run was killed, and false when it was done before.
  static bool tune_and_kill(const std::filesystem::path& database, Seconds after) {
    const pid_t child = ::fork();
    if (child == 0) {
      try {
        tune(database);
        ::_exit(0);
      } catch (const std::exception& error) {
        std::fprintf(stderr, "child: %s\n", error.what());
        ::_exit(1);
      }
    }
    std::this_thread::sleep_for(after);
    ::kill(child, SIGKILL);
    int status = -1;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0) << status;
    return WIFSIGNALED(status);
  }

  static std::int64_t count(const std::filesystem::path& database, const std::string& what) {
    return Database(database, Database::Access::read_only).integer("SELECT count(*) FROM " + what);
  }

  TempDir folder_;
};

TEST_F(KilledSession, LosesAndDoublesNoMeasurement) {
  const int kills_wanted = ::getenv("DUET_LONG_TESTS") != nullptr ? 20 : 10;
  const std::filesystem::path calm = folder_ / "calm.db";
  const auto start = std::chrono::steady_clock::now();
  const Plan expected = tune(calm);
  const Seconds undisturbed = std::chrono::steady_clock::now() - start;
  const std::int64_t candidates = count(calm, "candidates");
  ASSERT_GE(candidates, 4);
  std::mt19937 random(11);
  std::vector<std::filesystem::path> databases{folder_ / "killed0.db"};
  for (int run = 0, kills = 0; kills < kills_wanted; ++run) {
    ASSERT_LT(run, 20 * kills_wanted) << "hardly a run is caught alive";
    const double share = std::uniform_real_distribution<double>(0.05, 0.95)(random);
    const bool killed = tune_and_kill(databases.back(), share * undisturbed);
    kills += killed ? 1 : 0;
    fmt::print("{}: {} at {:.0f}% of an undisturbed run's time\n", databases.back().filename().string(),
               killed ? "killed" : "ended before its kill", 100 * share);
    if (!killed) databases.push_back(folder_ / fmt::format("killed{}.db", databases.size()));
  }
  for (const std::filesystem::path& database : databases) {
    const Plan plan = tune(database);
    EXPECT_EQ(plan.kernels.at(0).config_text, expected.kernels.at(0).config_text);
    EXPECT_EQ(count(database, "candidates WHERE median_us > 0 AND attempts = 1"), candidates);
    EXPECT_EQ(count(database, "measurements WHERE candidate_id IS NOT NULL AND environment NOT LIKE '%, raced'"),
              candidates);
    EXPECT_EQ(count(database, "(SELECT DISTINCT candidate_id FROM measurements WHERE candidate_id IS NOT NULL)"),
              candidates);
    EXPECT_EQ(count(database, "measurements WHERE plan_id IS NOT NULL"), 1);
  }
}

}  // namespace
}  // namespace duet
