#include "tuner/co_execution.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/two_tower_plan.h"
#include "tuner/schedule_choice.h"

namespace duet {
namespace {

// Two steps a tower and a joint one: vision.0, vision.1, text.0, text.1, joint.
Plan five_steps() {
  Plan plan = two_tower::make_plan();
  const PlanStep vision = plan.steps[0], text = plan.steps[1];
  PlanStep joint = plan.steps[2];
  joint.waits = {3};
  plan.steps = {vision, vision, text, text, joint};
  for (std::size_t i = 0; i < 4; ++i) plan.steps[i].name += std::to_string(i % 2);
  plan.choices = {
      {.problem = "scale", .steps = {0, 1}}, {.problem = "look_up", .steps = {2, 3}}, {.problem = "add", .steps = {4}}};
  return plan;
}

std::vector<std::string> names_of(const Plan& plan) {
  std::vector<std::string> names;
  for (const PlanStep& step : plan.steps) names.push_back(step.name);
  return names;
}

TEST(LaunchOrders, KeepEachStreamsOrderAndWhatItWaitsFor) {
  const Plan plan = five_steps();
  EXPECT_EQ(with_launch_order(plan, LaunchOrder::graph), plan);
  const Plan reversed = with_launch_order(plan, LaunchOrder::reversed);
  EXPECT_EQ(names_of(reversed), (std::vector<std::string>{"text.look_up0", "text.look_up1", "vision.scale0",
                                                          "vision.scale1", "joint.add"}));
  EXPECT_EQ(reversed.steps[4].waits, std::vector<int>{1});
  EXPECT_EQ(reversed.choices[0].steps, (std::vector<int>{2, 3}));
  EXPECT_EQ(reversed.choices[1].steps, (std::vector<int>{0, 1}));
  EXPECT_EQ(describe_streams(plan), "vision first");
  EXPECT_EQ(describe_streams(reversed), "text first");
  EXPECT_EQ(with_launch_order(reversed, LaunchOrder::reversed), plan);
}

TEST(LaunchOrders, TakeTurns) {
  const Plan turns = with_launch_order(five_steps(), LaunchOrder::turns);
  EXPECT_EQ(names_of(turns), (std::vector<std::string>{"vision.scale0", "text.look_up0", "vision.scale1",
                                                       "text.look_up1", "joint.add"}));
  EXPECT_EQ(describe_streams(turns), "by turns");
}

TEST(LaunchOrders, OfOneStreamAreOne) {
  Plan plan = five_steps();
  plan.stream_count = 1;
  for (PlanStep& step : plan.steps) {
    step.stream = 0;
    step.waits.clear();
  }
  EXPECT_EQ(with_launch_order(plan, LaunchOrder::reversed), plan);
  EXPECT_EQ(describe_streams(plan), "");
}

TEST(Priorities, GoToOneStream) {
  const Plan plan = five_steps();
  const Plan text = with_priority(plan, 1);
  EXPECT_EQ(text.streams, (std::vector<StreamShare>{{}, {.priority = 1}}));
  EXPECT_EQ(describe_streams(text), "vision first, priority for text");
  EXPECT_EQ(with_priority(text, 0).streams, (std::vector<StreamShare>{{.priority = 1}, {}}));
  EXPECT_EQ(with_priority(text, -1), plan);
}

TEST(ScheduleVariants, OfAPlanAreThoseThatMayHaveGivenItsStreams) {
  Plan plan = with_launch_order(with_priority(five_steps(), 1), LaunchOrder::reversed);
  std::vector<ScheduleVariant> variants = variants_like(plan);
  EXPECT_EQ(variants.size(), 18u);
  const ScheduleVariant text_first{
      .early_launch = false, .prefetch = true, .order = LaunchOrder::reversed, .priority = 1};
  EXPECT_NE(std::find(variants.begin(), variants.end(), text_first), variants.end());
  for (const ScheduleVariant& variant : variants) EXPECT_EQ(variant.priority, 1);
  plan.streams = {{}, {.sms = 6}, {.sms = 2}};
  for (const ScheduleVariant& variant : variants_like(plan)) EXPECT_EQ(variant.first_share, 6);
  EXPECT_EQ(variant_text(text_first),
            "plain launches, weights prefetched, the second tower first, priority for stream 1");
}

}  // namespace
}  // namespace duet
