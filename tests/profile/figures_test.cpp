#include "profile/figures.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/profile/sample_run.h"

namespace duet {
namespace {

using namespace duet::testing;

const KernelFigures& of(const ProfileFigures& figures, const std::string& name) {
  return *std::find_if(figures.kernels.begin(), figures.kernels.end(),
                       [&](const KernelFigures& kernel) { return kernel.name == name; });
}

TEST(Figures, TheWhole) {
  const Plan plan = two_tower_run();
  const std::vector<Replay> replays{sample_replay(plan)};
  const ProfileFigures figures = compute_figures(plan, replays);
  EXPECT_DOUBLE_EQ(figures.span_us, 12);
  EXPECT_DOUBLE_EQ(figures.busy_us, 12);
  EXPECT_DOUBLE_EQ(figures.overlap_us, 7);  // text's 4 and 3 us beside vision
  EXPECT_DOUBLE_EQ(figures.idle_share(), 0);
  EXPECT_DOUBLE_EQ(figures.overlap_share(), 7.0 / 12);
}

TEST(Figures, OverlapOfOneTowersOwnKernelsIsNoOverlapOfTowers) {
  const Plan plan = two_tower_run();
  std::vector<Replay> replays{sample_replay(plan)};
  replays[0].slices[1] = {.start_us = 20, .end_us = 21};  // the text tower runs when the rest has ended
  replays[0].slices[3] = {.start_us = 21, .end_us = 22};
  const ProfileFigures figures = compute_figures(plan, replays);
  EXPECT_DOUBLE_EQ(figures.overlap_us, 0);
  EXPECT_DOUBLE_EQ(figures.span_us, 22);
  EXPECT_DOUBLE_EQ(figures.busy_us, 14);
  EXPECT_DOUBLE_EQ(figures.idle_share(), 8.0 / 22);
}

TEST(Figures, EachTower) {
  const Plan plan = two_tower_run();
  const std::vector<Replay> replays{sample_replay(plan)};
  const std::vector<TowerFigures> towers = compute_figures(plan, replays).towers;
  ASSERT_EQ(towers.size(), 3U);
  EXPECT_EQ(towers[0].tower, "vision");
  EXPECT_EQ(towers[0].kernels, 3);
  EXPECT_DOUBLE_EQ(towers[0].start_us, 0);
  EXPECT_DOUBLE_EQ(towers[0].busy_us, 11);  // not 11.5: two of its kernels overlap
  EXPECT_DOUBLE_EQ(towers[0].idle_us, 0);
  EXPECT_DOUBLE_EQ(towers[0].floor_us, 6);
  EXPECT_DOUBLE_EQ(towers[1].start_us, replays[0].slices[1].start_us);
  EXPECT_GT(towers[1].start_us, 0);
  EXPECT_DOUBLE_EQ(towers[1].span_us, 9);
  EXPECT_DOUBLE_EQ(towers[1].busy_us, 7);
  EXPECT_DOUBLE_EQ(towers[1].idle_us, 2);
}

TEST(Figures, KernelsOfAllLayersAndReplaysAreOneLine) {
  const Plan plan = two_tower_run();
  std::vector<Replay> replays{sample_replay(plan), sample_replay(plan)};
  replays[1].slices[4].end_us = 13;  // 2 us later
  const ProfileFigures figures = compute_figures(plan, replays);
  const KernelFigures& vision = of(figures, "vision.layers.*.fc");
  EXPECT_EQ(vision.entry, "gemm");
  EXPECT_EQ(vision.count, 2);
  EXPECT_DOUBLE_EQ(vision.total_us, 8);    // 7 and 9
  EXPECT_DOUBLE_EQ(vision.exposed_us, 4);  // 4, 3, 4, 5
  EXPECT_DOUBLE_EQ(vision.mean_us, 4.25);  // 4, 3.5, 4, 5.5
  EXPECT_DOUBLE_EQ(vision.floor_us, 2);
  EXPECT_DOUBLE_EQ(vision.ratio, 2);
  EXPECT_DOUBLE_EQ(of(figures, "text.layers.*.fc").gap_us, 1);  // 0 and 2
  EXPECT_EQ(figures.kernels.front().name, "vision.layers.*.fc");
  EXPECT_EQ(figures.span_us_samples, (std::vector<double>{12, 13}));
}

TEST(Figures, AStepWithoutAFloorHasNoRatio) {
  Plan plan = two_tower_run();
  for (PlanStep& step : plan.steps) step.floor_us = 0;
  const std::vector<Replay> replays{sample_replay(plan)};
  for (const KernelFigures& kernel : compute_figures(plan, replays).kernels) EXPECT_EQ(kernel.ratio, 0);
}

TEST(Figures, OnlyWholePartsOfANameAreNumbers) {
  EXPECT_EQ(without_numbers("vision.layers.11.qkv"), "vision.layers.*.qkv");
  EXPECT_EQ(without_numbers("text.fc1"), "text.fc1");
  EXPECT_EQ(without_numbers("7.x.8"), "*.x.*");
  EXPECT_EQ(without_numbers("..1."), "..*.");
  EXPECT_EQ(without_numbers(""), "");
}

}  // namespace
}  // namespace duet
