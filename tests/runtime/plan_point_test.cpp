#include "runtime/plan_point.h"

#include <gtest/gtest.h>

#include "runtime/plan_memory.h"
#include "tests/support/sample_plan.h"

namespace duet {
namespace {

PlanPoint point(double latency_us, std::uint64_t memory_bytes, double energy_mj = 0, bool chosen = false) {
  return {.latency_us = latency_us, .energy_mj = energy_mj, .memory_bytes = memory_bytes, .chosen = chosen};
}

TEST(PlanPoints, TheParetoSetIsWhatNothingBettersForFree) {
  EXPECT_EQ(pareto_marks({point(10, 100), point(12, 80), point(11, 100), point(12, 90), point(9, 200)}),
            (std::vector{true, true, false, false, true}));
  EXPECT_EQ(pareto_marks({point(10, 100, 5), point(12, 100, 4), point(13, 100, 4)}), (std::vector{true, true, false}));
  EXPECT_TRUE(pareto_marks({}).empty());
}

TEST(PlanPoints, OfEqualPointsTheFirstIsKept) {
  EXPECT_EQ(pareto_marks({point(10, 100), point(10, 100)}), (std::vector{true, false}));
}

TEST(PlanPoints, EnergyThatWasNotMeasuredIsNoAdvantage) {
  EXPECT_FALSE(dominates(point(10, 100), point(12, 100, 4))) << "it may take more";
  EXPECT_TRUE(dominates(point(10, 100, 9), point(12, 100)));
}

TEST(PlanPoints, TheChosenOneIsKeptThoughATieBeatIt) {
  const std::vector<PlanPoint> kept =
      points_worth_keeping({point(12, 80), point(10.1, 100, 0, true), point(10, 100), point(13, 100)});
  EXPECT_EQ(kept, (std::vector{point(10, 100), point(10.1, 100, 0, true), point(12, 80)}));
}

TEST(PlanPoints, MemoryIsAllThatAPlanHoldsOnItsDevice) {
  const Plan plan = sample_plan();
  const std::uint64_t inputs = 2 * 3 * 8 * 8 * 4 + 2 * 7 * 4, outputs = 2 * 8 * 2;
  EXPECT_EQ(plan_memory_bytes(plan), 4096 + 16384 + 256 + inputs + outputs);
}

}  // namespace
}  // namespace duet
