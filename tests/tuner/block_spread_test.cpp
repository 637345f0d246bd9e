// Kernels of a stream that fit an SM beside each other, and kernels that do not, on 16 SMs of 228 KB.
#include "tuner/block_spread.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/tuner/fakes.h"
#include "tuner/schedule_choice.h"

namespace duet {
namespace {

constexpr int kKb = 1024;

DeviceSpec hopper() {
  DeviceSpec device = test_device();
  device.arch = "sm_90";
  device.sm_count = 16;
  device.smem_bytes_per_sm = 228 * kKb;
  device.smem_bytes_per_block = 227 * kKb;
  return device;
}

struct Step {
  int blocks = 16, smem_kb = 0, stream = 0;
};

// Each step with a kernel of its own.
Plan chain(const std::vector<Step>& steps) {
  Plan plan;
  for (const Step& step : steps) {
    PlanStep launch;
    launch.kernel = static_cast<int>(plan.kernels.size());
    launch.grid = {.x = step.blocks};
    launch.stream = step.stream;
    plan.steps.push_back(launch);
    PlanKernel kernel;
    kernel.threads = 128;
    kernel.smem_bytes = step.smem_kb * kKb;
    kernel.images.resize(1);
    kernel.images.front().registers = 64;
    plan.kernels.push_back(kernel);
  }
  return plan;
}

std::vector<int> smem_kb(const Plan& plan) {
  std::vector<int> sizes;
  for (const PlanKernel& kernel : plan.kernels) sizes.push_back(kernel.smem_bytes / kKb);
  return sizes;
}

TEST(BlockSpread, WhatDoesNotFitBesideTheLaunchBeforeTakesNoMoreThanItsPart) {
  EXPECT_EQ(smem_kb(spread_blocks(chain({{.smem_kb = 160}, {.smem_kb = 90}}), hopper())), (std::vector{160, 114}));
  // Two of 114 KB and the one that the system keeps for each do not fit 228.
  EXPECT_EQ(smem_kb(spread_blocks(chain({{.smem_kb = 160}, {.blocks = 20, .smem_kb = 70}}), hopper())),
            (std::vector{160, 76}))
      << "of 20 blocks an SM takes two";
  EXPECT_EQ(smem_kb(spread_blocks(chain({{.smem_kb = 160}, {.smem_kb = 130}}), hopper())), (std::vector{160, 130}))
      << "an SM takes one anyway";
}

TEST(BlockSpread, WhatFitsStaysAsItIs) {
  const Plan plan = chain({{.smem_kb = 100}, {.smem_kb = 90}, {.smem_kb = 120}});
  EXPECT_EQ(spread_blocks(plan, hopper()), plan);
  const Plan streams = chain({{.smem_kb = 160}, {.smem_kb = 90, .stream = 1}});
  EXPECT_EQ(spread_blocks(streams, hopper()), streams) << "the launch before is another stream's";
}

// 90 KB grow to 114 because of the one before, and 113 then do not fit beside them.
TEST(BlockSpread, WhatHasGrownIsLookedAtAgain) {
  const Plan plan = chain({{.smem_kb = 160}, {.smem_kb = 90}, {.smem_kb = 113}});
  EXPECT_EQ(smem_kb(spread_blocks(plan, hopper())), (std::vector{160, 114, 114}));
}

TEST(BlockSpread, CountsTheSmsOfATower) {
  Plan plan = chain({{.smem_kb = 200, .stream = 1}, {.smem_kb = 40, .stream = 1}});
  plan.streams = {{}, {.sms = 6}, {.sms = 10}};
  EXPECT_EQ(smem_kb(spread_blocks(plan, hopper())), (std::vector{200, 57})) << "16 blocks on 6 SMs";
}

TEST(BlockSpread, IsAVariantOfPlansThatStartKernelsEarly) {
  int spread = 0;
  for (const ScheduleVariant& variant : launch_variants({}, true)) {
    if (!variant.spread) continue;
    ++spread;
    EXPECT_TRUE(variant.early_launch);
    EXPECT_NE(variant_text(variant).find("spread"), std::string::npos);
  }
  EXPECT_EQ(spread, 2);
  for (const ScheduleVariant& variant : launch_variants({}, false)) EXPECT_FALSE(variant.spread);
  EXPECT_TRUE(starts_kernels_early(hopper()));
  EXPECT_FALSE(starts_kernels_early(test_device()));
}

}  // namespace
}  // namespace duet
