#include "tuner/stats.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace duet {
namespace {

TEST(Stats, MedianOfOddAndEvenCounts) {
  EXPECT_EQ(median({}), 0);
  EXPECT_EQ(median(std::vector<double>{3, 1, 2}), 2);
  EXPECT_EQ(median(std::vector<double>{4, 1, 2, 3}), 2.5);
}

TEST(Stats, DeviationIgnoresOutliers) {
  EXPECT_EQ(median_absolute_deviation(std::vector<double>{1, 2, 3, 4, 1000}), 1);
}

TEST(Stats, PercentileInterpolates) {
  const std::vector<double> samples = {0, 10, 20, 30};
  EXPECT_EQ(percentile(samples, 0), 0);
  EXPECT_EQ(percentile(samples, 1), 30);
  EXPECT_EQ(percentile(samples, 0.5), 15);
  EXPECT_EQ(percentile({}, 0.5), 0);
}

TEST(Stats, FewSamplesGiveTheirWholeRange) {
  const Interval interval = median_interval(std::vector<double>{5, 1, 3});
  EXPECT_EQ(interval.low, 1);
  EXPECT_EQ(interval.high, 5);
}

TEST(Stats, IntervalCoversTheMedianAboutNineteenTimesInTwenty) {
  std::mt19937 generator(7);
  std::lognormal_distribution<double> skewed(0.0, 0.5);  // its median is 1
  int covered = 0;
  constexpr int kTrials = 2000;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> samples(40);
    for (double& sample : samples) sample = skewed(generator);
    const Interval interval = median_interval(samples);
    if (interval.low <= 1 && 1 <= interval.high) ++covered;
  }
  EXPECT_GE(covered, kTrials * 94 / 100);
  EXPECT_LE(covered, kTrials * 995 / 1000);
}

TEST(Stats, UncertaintyOfNothingIsInfinite) {
  EXPECT_TRUE(std::isinf(relative_uncertainty({})));
  EXPECT_TRUE(std::isinf(relative_uncertainty(std::vector<double>{0, 0})));
  EXPECT_EQ(relative_uncertainty(std::vector<double>(10, 5.0)), 0);
}

TEST(Stats, StopsWhenPreciseExhaustedOrOutOfBudget) {
  const StoppingRule rule{.min_samples = 4, .max_samples = 8, .max_uncertainty = 0.01, .budget_us = 100};
  EXPECT_EQ(should_stop(std::vector<double>{1, 1, 1}, rule), StopReason::none);
  EXPECT_EQ(should_stop(std::vector<double>{1, 1, 1, 1}, rule), StopReason::precise);
  EXPECT_EQ(should_stop(std::vector<double>{1, 2, 3, 4}, rule), StopReason::none);
  EXPECT_EQ(should_stop(std::vector<double>{10, 20, 30, 40}, rule), StopReason::budget);
  EXPECT_EQ(should_stop(std::vector<double>{1, 2, 3, 4, 5, 6, 7, 8}, rule), StopReason::max_samples);
}

}  // namespace
}  // namespace duet
