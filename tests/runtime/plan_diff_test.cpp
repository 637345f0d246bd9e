#include "runtime/plan_diff.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "runtime/step_names.h"
#include "tests/support/sample_plan.h"

namespace duet {
namespace {

std::vector<std::string> different(const std::vector<PlanProperty>& properties) {
  std::vector<std::string> names;
  for (const PlanProperty& property : properties)
    if (!property.equal()) names.push_back(property.name);
  return names;
}

TEST(PlanDifference, LayersAreAlike) {
  EXPECT_EQ(layer_pattern("text.layers.11.qkv"), "text.layers.*.qkv");
  EXPECT_EQ(layer_pattern("vision.fc1"), "vision.fc1");
  EXPECT_EQ(layer_pattern("7"), "*");
  EXPECT_EQ(layer_pattern("a..3."), "a..*.");
  EXPECT_EQ(layer_pattern(""), "");
}

TEST(PlanDifference, APlanEqualsItself) {
  const PlanDiff diff = diff_plans(sample_plan(), sample_plan());
  EXPECT_TRUE(diff.equal());
  EXPECT_TRUE(different(diff.conditions).empty());
  EXPECT_EQ(diff.steps.size(), 3u);
}

TEST(PlanDifference, TimesAndBoardsMakeNoDifference) {
  Plan other = sample_plan();
  other.key.device.power_mode = "15W";
  other.key.device.sm_clock_mhz = 600;
  other.figures.latency_us = 900;
  other.steps[0].measured_us = 0;
  const PlanDiff diff = diff_plans(sample_plan(), other);
  EXPECT_TRUE(diff.equal());
  EXPECT_EQ(different(diff.conditions), (std::vector<std::string>{"SM clock MHz", "power mode"}));
  EXPECT_TRUE(diff.steps[0].measured_a);
  EXPECT_FALSE(diff.steps[0].measured_b);
  EXPECT_EQ(diff.steps[0].us_b, 12.5) << "the prediction where it was not timed";
}

TEST(PlanDifference, TilesLaunchesAndMemoryDo) {
  Plan other = sample_plan();
  other.kernels[0].config_text = "block 128x64x32";
  other.arena_bytes = 8192;
  other.steps.push_back(other.steps.back());
  other.steps.back().name = "extra";
  const PlanDiff diff = diff_plans(sample_plan(), other);
  EXPECT_FALSE(diff.equal());
  EXPECT_EQ(different(diff.schedule), (std::vector<std::string>{"launches", "arena bytes"}));
  std::vector<std::string> steps;
  for (const PlanStepGroup& group : diff.steps)
    if (!group.equal()) steps.push_back(group.name);
  EXPECT_EQ(steps, (std::vector<std::string>{"text.layers.*.qkv", "extra"}));
}

}  // namespace
}  // namespace duet
