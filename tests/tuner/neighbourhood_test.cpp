#include "tuner/search/neighbourhood.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace duet {
namespace {

// 20 x 20 configurations; the fastest is (12, 7), and what lies around it is slower by the step.
SearchPoints grid() {
  SearchPoints points;
  for (int x = 0; x < 20; ++x)
    for (int y = 0; y < 20; ++y) points.push_back({.parameters = {{"x", x}, {"y", y}}});
  return points;
}
double time_us(std::size_t index, double step) {
  const int x = static_cast<int>(index) / 20, y = static_cast<int>(index) % 20;
  return 100 * (1 + step * (std::abs(x - 12) + std::abs(y - 7)));
}

std::set<std::size_t> look_around(std::size_t from, double step) {
  Neighbourhood around(grid());
  around.report(from, {.valid = true, .time_us = time_us(from, step)});
  std::set<std::size_t> seen{from};
  while (const auto index = around.propose()) {
    EXPECT_TRUE(seen.insert(*index).second) << "proposed twice";
    around.report(*index, {.valid = true, .time_us = time_us(*index, step)});
  }
  return seen;
}

TEST(Neighbourhood, LooksAtAllThatDifferInOneParameter) {
  const std::set<std::size_t> seen = look_around(12 * 20 + 7, 0.1);
  EXPECT_EQ(seen.size(), 1u + 19 + 19) << "and no further, where they are slower";
}

TEST(Neighbourhood, GoesOnFromWhatIsFaster) { EXPECT_TRUE(look_around(0, 0.1).contains(12 * 20 + 7)); }

TEST(Neighbourhood, ComesToTheSameFastestFromAnywhereNearby) {
  for (const std::size_t from : {12 * 20 + 8UL, 11 * 20 + 6UL, 14 * 20 + 7UL}) {
    const std::set<std::size_t> seen = look_around(from, 0.004);
    for (const std::size_t best : {12 * 20 + 7UL, 12 * 20 + 6UL, 12 * 20 + 8UL, 11 * 20 + 7UL, 13 * 20 + 7UL})
      EXPECT_TRUE(seen.contains(best)) << from << " " << best;
  }
}

TEST(Neighbourhood, HasNothingToLookAtWithoutAValidOne) {
  Neighbourhood around(grid());
  around.report(5, {});
  EXPECT_EQ(around.propose(), std::nullopt);
}

}  // namespace
}  // namespace duet
