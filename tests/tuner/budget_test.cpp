#include "tuner/budget.h"

#include <gtest/gtest.h>

#include <vector>

namespace duet {
namespace {

// What each gets of 100 s when all use up what they are given.
std::vector<double> divide(std::vector<double> times_us) {
  std::vector<double> parts;
  double left = 100;
  for (std::size_t i = 0; i < times_us.size(); ++i) {
    parts.push_back(left * first_part(std::span(times_us).subspan(i)));
    left -= parts.back();
  }
  return parts;
}

TEST(Budget, CostlyKernelsGetMoreAndCheapOnesEnough) {
  const std::vector<double> parts = divide({60, 30, 9, 1});
  EXPECT_NEAR(parts[0], (25 + 60) / 2.0, 1e-9);
  EXPECT_GT(parts[1], parts[2]);
  EXPECT_GT(parts[3], 7);
  EXPECT_NEAR(parts[0] + parts[1] + parts[2] + parts[3], 100, 1e-9) << "all of it is used";
}

TEST(Budget, EqualKernelsGetEqualParts) {
  for (const double part : divide({5, 5, 5, 5})) EXPECT_NEAR(part, 25, 1e-9);
  for (const double part : divide({0, 0})) EXPECT_NEAR(part, 50, 1e-9);
}

// Of 100 s, where each takes two more than it is given.
TEST(Budget, WhatSearchesTakeBehindTheirDeadlineIsKeptForTheLast) {
  const std::vector<double> times_us(20, 1.0);
  double left_s = 100;
  for (std::size_t i = 0; i < times_us.size(); ++i) {
    const double part_s = first_part_s(left_s, std::span(times_us).subspan(i), 2);
    EXPECT_NEAR(part_s, 3, 1e-9) << i;
    left_s -= part_s + 2;
  }
  EXPECT_EQ(first_part_s(1, times_us, 2), 0);
}

}  // namespace
}  // namespace duet
