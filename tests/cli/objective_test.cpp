// Plans tuned for memory and under limits, and the trade that tuning leaves, through the command on the emulator.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/cli/cli_fixture.h"

namespace duet {
namespace {

class ObjectiveFlags : public CommandTest {
 protected:
  Arguments tune(const Arguments& more) const {
    Arguments arguments = short_tune("plans.db");
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  std::string variant_that_runs() const {
    return expect_json({"run", "tiny-dual", "--target", "emulator", "--db", "plans.db", "--json"})["variant"];
  }
  nlohmann::json pareto_of(const std::string& database) const {
    return expect_json({"plans", "pareto", "tiny-dual", "--db", database, "--json"});
  }
  static bool says(const std::string& text, const std::string& what) { return text.find(what) != std::string::npos; }
};

TEST_F(ObjectiveFlags, TheLeanestModeIsChosenAndRuns) {
  expect_exit(0, tune({"--mode", "all"}));
  const std::string fastest = variant_that_runs();
  const nlohmann::json tuned = expect_json(tune({"--mode", "all", "--objective", "memory", "--json"}));
  const std::int64_t least = tuned["tuned"]["plan"]["memory_bytes"];
  for (const nlohmann::json& mode : tuned["modes"]) EXPECT_LE(least, mode["memory_bytes"].get<std::int64_t>());
  EXPECT_LT(least, tuned["modes"]["streams"]["memory_bytes"].get<std::int64_t>()) << "towers at once hold more";
  EXPECT_EQ(tuned["tuned"]["plan"]["objective"], "least memory");
  const std::string leanest = tuned["tuned"]["plan"]["key"]["variant"];
  EXPECT_NE(leanest, fastest);
  EXPECT_EQ(variant_that_runs(), leanest);

  EXPECT_EQ(pareto_of("plans.db"), tuned["pareto"]);
  ASSERT_EQ(tuned["pareto"].size(), 1u);
  const nlohmann::json& points = tuned["pareto"][0]["points"];
  EXPECT_TRUE(std::any_of(points.begin(), points.end(), [&](const nlohmann::json& point) {
    return point["variant"] == leanest && point["stored"] == true && point["pareto"] == true;
  })) << points;
  const std::string text = expect_exit(0, {"plans", "pareto", "tiny-dual", "--db", "plans.db"}).out;
  EXPECT_TRUE(says(text, "latency us   memory MB   energy mJ")) << text;

  expect_exit(0, {"plans", "merge", "all.db", "plans.db"});
  expect_exit(0, {"plans", "gc", "--db", "all.db", "--superseded"});
  EXPECT_EQ(pareto_of("all.db"), tuned["pareto"]);

  expect_exit(0, tune({"--mode", "streams"}));
  EXPECT_EQ(variant_that_runs(), fastest) << "the last run was for latency";
}

TEST_F(ObjectiveFlags, WhereNoPlanIsWithinTheLimitTheNearestIsStored) {
  const Outcome missed = expect_exit(6, tune({"--max-memory-mb", "0.001"}));
  EXPECT_TRUE(says(missed.err, "no plan that was tried is within the limits: the nearest, fused-streams, has memory"));
  EXPECT_TRUE(says(missed.err, "> 0.001 MB; it is stored as plan 1 in plans.db")) << missed.err;
  EXPECT_TRUE(says(missed.out, "one point: no other plan that was tried is better")) << missed.out;
  const std::string shown = expect_exit(0, {"plans", "show", "1", "--db", "plans.db"}).out;
  EXPECT_TRUE(says(shown, "chosen for least latency, memory <= 0.001 MB, not met")) << shown;
  const Outcome as_json = expect_exit(6, tune({"--max-memory-mb", "0.001", "--json"}));
  EXPECT_EQ(nlohmann::json::parse(as_json.out)["goal_met"], false);
  expect_exit(0, tune({"--max-memory-mb", "1000", "--max-latency-us", "1e9"}));
}

TEST_F(ObjectiveFlags, EnergyIsRefusedWhereNothingMeasuresIt) {
  const Outcome refused = expect_exit(4, tune({"--objective", "energy"}));
  EXPECT_EQ(line_count(refused.err), 1) << refused.err;
  EXPECT_TRUE(says(refused.err, "'emulator' has none")) << refused.err;
  EXPECT_FALSE(std::filesystem::exists(folder_ / "plans.db"));
}

TEST_F(ObjectiveFlags, AModelWithoutRunsSaysSo) {
  expect_exit(0, tune({}));
  const Outcome none = expect_exit(4, {"plans", "pareto", "clip-vit-b32", "--db", "plans.db"});
  EXPECT_EQ(line_count(none.err), 1) << none.err;
  EXPECT_TRUE(says(none.err, "'clip-vit-b32'")) << none.err;
}

}  // namespace
}  // namespace duet
