#include "tuner/gain_rule.h"

#include <gtest/gtest.h>

#include <cmath>

namespace duet {
namespace {

void report(GainRule& rule, double time_us, int times = 1) {
  for (int i = 0; i < times; ++i) rule.report({.valid = true, .time_us = time_us});
}

// Trials without news until the rule ends, after records of these times.
int patience(const std::vector<double>& records_us, double min_gain) {
  GainRule rule(min_gain);
  for (const double time_us : records_us) report(rule, time_us);
  report(rule, 1000, GainRule::kLeastTrials);
  report(rule, records_us.back() * 0.999999);  // the count begins here
  int trials = 0;
  while (!rule.ends() && trials < 10000) {
    report(rule, 1000);
    ++trials;
  }
  return trials;
}

TEST(GainRule, LargeStepsAreWaitedForLongerThanSmallOnes) {
  const int large = patience({100, 80, 60, 40}, 0.02), small = patience({100, 99, 98.5, 98}, 0.02);
  EXPECT_NEAR(large, 100 * 0.5 / 0.02, 5);
  EXPECT_NEAR(small, 100 * 0.00508 / 0.02, 5);
}

TEST(GainRule, ALowerThresholdIsReachedLater) {
  EXPECT_NEAR(patience({100, 98, 96, 94}, 0.01), 2 * patience({100, 98, 96, 94}, 0.02), 2);
}

TEST(GainRule, TellsTheGainOfTheNextTrials) {
  GainRule rule(0.02);
  for (const double time_us : {100.0, 98.0, 96.0, 94.0}) report(rule, time_us);
  report(rule, 200, 99);
  EXPECT_NEAR(rule.expected_gain(), 100 * (96.0 / 94 - 1) / 100, 1e-3);
}

TEST(GainRule, KnowsNothingBeforeEnoughTrialsOrWithoutAValidOne) {
  GainRule rule(0.02), failing(0.02);
  report(rule, 10, GainRule::kLeastTrials - 1);
  EXPECT_TRUE(std::isinf(rule.expected_gain()));
  for (int i = 0; i < 500; ++i) failing.report({});
  EXPECT_FALSE(failing.ends());
}

// The model's first candidate may be the best of all: that is not waited for for ever.
TEST(GainRule, EndsWhereTheFirstStaysTheBest) {
  GainRule rule(0.02);
  report(rule, 10);
  int trials = 0;
  while (!rule.ends() && trials < 10000) {
    report(rule, 20);
    ++trials;
  }
  EXPECT_NEAR(trials, 250, 2);
}

TEST(GainRule, NeverEndsAtZero) {
  GainRule rule(0);
  report(rule, 10, 5000);
  EXPECT_FALSE(rule.ends());
}

}  // namespace
}  // namespace duet
