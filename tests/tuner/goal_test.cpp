#include "tuner/goal.h"

#include <gtest/gtest.h>

#include "tests/support/error_of.h"
#include "tests/support/fake_device.h"

namespace duet {
namespace {

PlanPoint point(double latency_us, std::uint64_t memory_bytes, double energy_mj = 0) {
  return {.latency_us = latency_us, .energy_mj = energy_mj, .memory_bytes = memory_bytes};
}

std::size_t chosen(const Goal& goal, const std::vector<PlanPoint>& points) { return choose_point(goal, points).index; }

TEST(Goals, TheLeastOfTheObjectiveIsChosen) {
  const std::vector<PlanPoint> points{point(300, 9'000'000, 70), point(310, 8'000'000, 80), point(400, 8'500'000, 50)};
  EXPECT_EQ(chosen({}, points), 0u);
  EXPECT_EQ(chosen({.objective = Objective::memory}, points), 1u);
  EXPECT_EQ(chosen({.objective = Objective::energy}, points), 2u);
}

TEST(Goals, LimitsComeBeforeTheObjective) {
  const std::vector<PlanPoint> points{point(300, 9'000'000, 70), point(310, 8'000'000, 80), point(400, 8'500'000, 50)};
  EXPECT_EQ(chosen({.objective = Objective::energy, .max_latency_us = 350}, points), 0u);
  EXPECT_EQ(chosen({.objective = Objective::energy, .max_latency_us = 350, .max_memory_bytes = 8'200'000}, points), 1u);
  EXPECT_EQ(chosen({.max_memory_bytes = 8'000'000}, points), 1u) << "the limit itself is allowed";
  EXPECT_TRUE(choose_point({.max_memory_bytes = 8'000'000}, points).met);
}

TEST(Goals, WhereNoneIsWithinTheLimitsTheNearestIsChosen) {
  const Goal goal{.max_latency_us = 100, .max_memory_bytes = 8'000'000};
  const std::vector<PlanPoint> points{point(300, 8'000'000), point(150, 9'000'000), point(120, 20'000'000)};
  const GoalChoice choice = choose_point(goal, points);
  EXPECT_FALSE(choice.met);
  EXPECT_EQ(choice.index, 1u) << "1.5 times over the worse of its limits";
  EXPECT_EQ(miss_text(goal, points[1]), "latency 150.0 us > 100 us, memory 9.00 MB > 8 MB");
}

TEST(Goals, EqualOnesGoToTheFasterThenTheFirst) {
  EXPECT_EQ(chosen({.objective = Objective::memory}, {point(300, 8), point(290, 8), point(290, 8)}), 1u);
  EXPECT_EQ(chosen({.objective = Objective::energy}, {point(300, 8, 50), point(290, 8, 50.9), point(280, 8, 52)}), 1u);
}

TEST(Goals, WhatWasNotMeasuredIsNotTheLeastEnergy) {
  EXPECT_EQ(chosen({.objective = Objective::energy}, {point(290, 8), point(300, 8, 50)}), 1u);
  EXPECT_EQ(chosen({.objective = Objective::energy}, {point(290, 8), point(280, 8)}), 1u);
}

TEST(Goals, TheTextNamesObjectiveAndLimits) {
  EXPECT_EQ(goal_text({}), "");
  EXPECT_EQ(goal_text({.objective = Objective::memory}), "least memory");
  const Goal goal{.objective = Objective::energy, .max_latency_us = 400, .max_memory_bytes = 200'500'000};
  EXPECT_EQ(goal_text(goal), "least energy, latency <= 400 us, memory <= 200.5 MB");
  EXPECT_EQ(recorded_goal(goal, false), goal_text(goal) + ", not met");
  for (const std::string& name : objective_names()) EXPECT_EQ(objective_name(parse_objective(name)), name);
  error_of(ErrorKind::usage, [] { parse_objective("speed"); });
}

TEST(Goals, EnergyNeedsAMeter) {
  FakeDevice device;
  device.mutable_info().can_measure = true;
  const Goal energy{.objective = Objective::energy};
  EXPECT_NE(error_of(ErrorKind::missing, [&] { require_meter(energy, &device, "auto"); }).find("'auto' has none"),
            std::string::npos);
  error_of(ErrorKind::missing, [&] { require_meter(energy, nullptr, "jetson-orin-nx-16gb"); });
  EXPECT_NO_THROW(require_meter({.objective = Objective::memory}, nullptr, "jetson-orin-nx-16gb"));
}

}  // namespace
}  // namespace duet
