#include "profile/intervals.h"

#include <gtest/gtest.h>

namespace duet {
namespace {

TEST(Intervals, MergeJoinsWhatOverlapsOrTouches) {
  const std::vector<TimeSpan> expected{{0, 4}, {5, 9}};
  EXPECT_EQ(merge({{5, 6}, {0, 2}, {1, 3}, {3, 4}, {6, 9}, {7, 8}}), expected);
  EXPECT_EQ(merge({{2, 2}, {3, 1}}), std::vector<TimeSpan>{});
  EXPECT_DOUBLE_EQ(total_us(expected), 8);
}

TEST(Intervals, LevelsChangeWhereSetsBeginAndEnd) {
  const std::vector<std::vector<TimeSpan>> sets{{{0, 4}, {6, 8}}, {{2, 6}}};
  const std::vector<Level> levels = count_running(sets);
  EXPECT_EQ(levels, (std::vector<Level>{{0, 1}, {2, 2}, {4, 1}, {8, 0}}));  // at 6 one begins as the other ends
  EXPECT_DOUBLE_EQ(time_at_least_us(levels, 1), 8);
  EXPECT_DOUBLE_EQ(time_at_least_us(levels, 2), 2);
  EXPECT_DOUBLE_EQ(time_at_least_us(levels, 3), 0);
}

TEST(Intervals, NothingRunsForNoTime) {
  EXPECT_TRUE(count_running({}).empty());
  EXPECT_DOUBLE_EQ(time_at_least_us({}, 1), 0);
}

}  // namespace
}  // namespace duet
