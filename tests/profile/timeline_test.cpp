#include "profile/timeline.h"

#include <gtest/gtest.h>

#include "tests/profile/sample_run.h"

namespace duet {
namespace {

using namespace duet::testing;

TEST(Timeline, AnEarlyLaunchCostsOnlyWhatItIsExposed) {
  const Plan plan = two_tower_run();
  const std::vector<StreamCost> costs = stream_costs(plan, sample_replay(plan));
  EXPECT_DOUBLE_EQ(costs[4].exposed_us, 3);  // 3.5 us long, of which 0.5 beside the layer before
  EXPECT_DOUBLE_EQ(costs[4].gap_us, 0);
  EXPECT_DOUBLE_EQ(costs[3].exposed_us, 3);
  EXPECT_DOUBLE_EQ(costs[3].gap_us, 2);
}

TEST(Timeline, TheFirstKernelOfAStreamHasNoGap) {
  const Plan plan = two_tower_run();
  EXPECT_DOUBLE_EQ(stream_costs(plan, sample_replay(plan))[1].gap_us, 0);
}

TEST(Timeline, AKernelThatEndsBeforeTheOneBeforeItCostsNothing) {
  const Plan plan = two_tower_run();
  Replay replay = sample_replay(plan);
  replay.slices[2].end_us = 20;
  EXPECT_DOUBLE_EQ(stream_costs(plan, replay)[4].exposed_us, 0);
  EXPECT_DOUBLE_EQ(stream_costs(plan, replay)[5].exposed_us, 0);
}

TEST(Timeline, ExposedTimesAndGapsAddUpToAStreamsSpan) {
  const Plan plan = two_tower_run();
  const Replay replay = sample_replay(plan);
  const std::vector<StreamCost> costs = stream_costs(plan, replay);
  double vision_us = 0, text_us = 0;
  for (std::size_t i = 0; i < costs.size(); ++i) {
    (plan.steps[i].stream == 0 ? vision_us : text_us) += costs[i].exposed_us + costs[i].gap_us;
  }
  EXPECT_DOUBLE_EQ(vision_us, 12);
  EXPECT_DOUBLE_EQ(text_us, 9);
}

TEST(Timeline, TheMedianReplayIsTheLowerOfTwo) {
  const auto of_span = [](double span_us) { return Replay{.slices = {{.end_us = span_us}}}; };
  const std::vector<Replay> replays{of_span(9), of_span(3), of_span(5), of_span(4)};
  EXPECT_DOUBLE_EQ(median_replay(replays).span_us(), 4);
  EXPECT_DOUBLE_EQ(median_replay(std::span(replays).first(1)).span_us(), 9);
}

TEST(Timeline, TowersComeInOrderOfTheirFirstStep) {
  EXPECT_EQ(tower_names(two_tower_run()), (std::vector<std::string>{"vision", "text", "joint"}));
}

}  // namespace
}  // namespace duet
