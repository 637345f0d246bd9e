// Records to replays: any order, several replays, records that are missing, foreign or without times.
#include "profile/step_match.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/profile/sample_run.h"

namespace duet {
namespace {

using namespace duet::testing;

void expect_sample(const StepMatch& match, const Plan& plan, std::size_t replays) {
  ASSERT_EQ(match.replays.size(), replays);
  for (const Replay& replay : match.replays) EXPECT_EQ(replay.slices, sample_replay(plan).slices);
}

std::vector<KernelRecord> three_replays(const Plan& plan) {
  std::vector<KernelRecord> records;
  for (std::uint32_t i = 0; i < 3; ++i) {
    const std::vector<KernelRecord> more = records_of(plan, sample_times(), 100 + i, i * 1'000'000);
    records.insert(records.end(), more.begin(), more.end());
  }
  return records;
}

void shuffle(std::vector<KernelRecord>& records, unsigned int seed) {
  std::shuffle(records.begin(), records.end(), std::mt19937(seed));
}

void forget_nodes(std::vector<KernelRecord>& records) {
  for (KernelRecord& record : records) record.graph_node = 0;
}

TEST(StepMatch, SeveralReplaysInAnyOrder) {
  const Plan plan = two_tower_run();
  for (unsigned int seed = 0; seed < 10; ++seed) {
    std::vector<KernelRecord> records = three_replays(plan);
    shuffle(records, seed);
    expect_sample(match_steps(records, plan), plan, 3);
  }
}

TEST(StepMatch, WithoutNodesByStart) {
  const Plan plan = two_tower_run();
  std::vector<KernelRecord> records = three_replays(plan);
  forget_nodes(records);
  shuffle(records, 1);
  expect_sample(match_steps(records, plan), plan, 3);
}

TEST(StepMatch, NodesInAnotherOrderThanThePlansAreNotBelieved) {
  const Plan plan = two_tower_run();
  std::vector<KernelRecord> records = three_replays(plan);
  for (KernelRecord& record : records) record.graph_node = ~record.graph_node;
  expect_sample(match_steps(records, plan), plan, 3);
}

TEST(StepMatch, NodesThatPermuteEqualStepsOfAStreamAreNotBelieved) {
  const Plan plan = two_tower_run();
  std::vector<KernelRecord> records = records_of(plan, sample_times(), 1);
  std::swap(records[2].graph_node, records[4].graph_node);  // two layers of one tower
  expect_sample(match_steps(records, plan), plan, 1);
}

TEST(StepMatch, NodesTellEqualKernelsOfTwoTowersApart) {
  const Plan plan = two_tower_run(8);
  std::vector<KernelRecord> records = three_replays(plan);
  shuffle(records, 2);
  expect_sample(match_steps(records, plan), plan, 3);
}

TEST(StepMatch, AFirstGuessThatLeadsNowhereIsTakenBack) {
  // Both streams begin with the kernel "a": only what follows tells whose the first record is.
  Plan plan{.stream_count = 2};
  plan.kernels = {{.entry = "a"}, {.entry = "b"}, {.entry = "c"}};
  plan.steps = {sample_step(0, "x.0", 1, 0), sample_step(1, "x.1", 1, 0), sample_step(0, "y.0", 1, 1),
                sample_step(2, "y.1", 1, 1)};
  std::vector<KernelRecord> records = records_of(plan, {{300, 400}, {400, 500}, {100, 200}, {200, 250}}, 1);
  forget_nodes(records);
  const StepMatch match = match_steps(records, plan);
  ASSERT_EQ(match.replays.size(), 1U);
  EXPECT_DOUBLE_EQ(match.replays[0].slices[2].start_us, 0);    // y.0 ran first,
  EXPECT_DOUBLE_EQ(match.replays[0].slices[0].start_us, 0.2);  // since y.1 came before x.0
}

TEST(StepMatch, AReplayWithADroppedRecordIsLeftOut) {
  const Plan plan = two_tower_run();
  for (std::size_t dropped = 0; dropped < 18; ++dropped) {
    std::vector<KernelRecord> records = three_replays(plan);
    records.erase(records.begin() + static_cast<std::ptrdiff_t>(dropped));
    const StepMatch match = match_steps(records, plan);
    expect_sample(match, plan, 2);
    EXPECT_EQ(match.incomplete_replays, 1);
  }
}

TEST(StepMatch, RecordsWithoutTimesCountAsMissing) {
  const Plan plan = two_tower_run();
  std::vector<KernelRecord> records = three_replays(plan);
  records[3].start_ns = records[3].end_ns = 0;
  records[8].end_ns = records[8].start_ns - 1;
  const StepMatch match = match_steps(records, plan);
  expect_sample(match, plan, 1);
  EXPECT_EQ(match.untimed_records, 2);
  EXPECT_EQ(match.incomplete_replays, 2);
}

TEST(StepMatch, ForeignKernelsAreCountedAndLeftOut) {
  const Plan plan = two_tower_run();
  std::vector<KernelRecord> records = three_replays(plan);
  records.insert(records.begin() + 4, {.entry = "memset", .start_ns = 1, .end_ns = 2, .launch = 100});
  records.push_back({.entry = "", .start_ns = 1, .end_ns = 2, .launch = 900});
  const StepMatch match = match_steps(records, plan);
  expect_sample(match, plan, 3);
  EXPECT_EQ(match.foreign_records, 2);
}

TEST(StepMatch, AnotherGridIsNoRunOfThePlan) {
  const Plan plan = two_tower_run();
  std::vector<KernelRecord> records = three_replays(plan);
  records[2].grid.x += 1;
  const StepMatch match = match_steps(records, plan);
  expect_sample(match, plan, 2);
  EXPECT_EQ(match.unmatched_replays, 1);
}

TEST(StepMatch, AStreamOutOfOrderIsNoRunOfThePlan) {
  const Plan plan = two_tower_run();
  std::vector<TimesNs> times = sample_times();
  std::swap(times[0], times[4]);  // patches after the layers
  const StepMatch match = match_steps(records_of(plan, times, 1), plan);
  EXPECT_TRUE(match.replays.empty());
  EXPECT_EQ(match.unmatched_replays, 1);
}

TEST(StepMatch, NothingGivesNothing) {
  const StepMatch match = match_steps({}, two_tower_run());
  EXPECT_TRUE(match.replays.empty());
  EXPECT_EQ(match.incomplete_replays + match.unmatched_replays, 0);
}

TEST(StepMatch, ManyEqualStepsThatFitNowhereEndQuickly) {
  Plan plan{.stream_count = 8};
  plan.kernels = {{.entry = "a"}};
  for (int i = 0; i < 400; ++i) plan.steps.push_back(sample_step(0, "x", 1, i % 8));
  std::vector<TimesNs> times;
  for (std::uint64_t i = 1; i <= 400; ++i) times.push_back({i, i + 1});
  std::vector<KernelRecord> records = records_of(plan, times, 1);
  records.back().grid.x = 2;
  forget_nodes(records);
  EXPECT_TRUE(match_steps(records, plan).replays.empty());
}

}  // namespace
}  // namespace duet
