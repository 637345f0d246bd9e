#include "tuner/plan_prediction.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/tuner/fakes.h"

namespace duet {
namespace {

std::vector<StepCost> steps(double sm_share) {
  return {
      4, StepCost{.predicted_us = 10, .launch_us = 2, .floor_us = 3, .bytes = 1e5, .flops = 1e6, .sm_share = sm_share}};
}
const StepOrder kOneStream{.stream_count = 1, .stream = {0, 0, 0, 0}, .waits = {{}, {}, {}, {}}};
const StepOrder kTwoStreams{.stream_count = 2, .stream = {0, 1, 0, 1}, .waits = {{}, {}, {}, {}}};

TEST(PlanPrediction, SequentialIsTheSum) {
  const PlanPrediction prediction = predict_plan(steps(0.1), kOneStream, test_device());
  EXPECT_DOUBLE_EQ(prediction.latency_us, 40);
  EXPECT_DOUBLE_EQ(prediction.floor_us, 12);
}

TEST(PlanPrediction, SmallKernelsOverlapFully) {
  EXPECT_DOUBLE_EQ(predict_plan(steps(0.1), kTwoStreams, test_device()).latency_us, 20);
}

TEST(PlanPrediction, KernelsThatFillTheDeviceHideTheirLaunchesOnly) {
  const PlanPrediction prediction = predict_plan(steps(1), kTwoStreams, test_device());
  EXPECT_DOUBLE_EQ(prediction.latency_us, 32);
}

TEST(PlanPrediction, StreamsShareTheMemory) {
  std::vector<StepCost> heavy = steps(0.1);
  for (StepCost& step : heavy) step.bytes = 1e6;
  const DeviceSpec device = test_device();
  EXPECT_DOUBLE_EQ(predict_plan(heavy, kTwoStreams, device).latency_us, 4e6 / (device.memory_gbps * 1e3 * 0.85));
}

TEST(PlanPrediction, WaitsJoinTheStreams) {
  StepOrder joined = kTwoStreams;
  joined.waits[2] = {1};
  joined.waits[3] = {2};
  EXPECT_DOUBLE_EQ(predict_plan(steps(0.1), joined, test_device()).latency_us, 30);
}

TEST(PlanPrediction, StreamsAreNeverWorseThanOne) {
  for (double share : {0.0, 0.3, 0.7, 1.0})
    EXPECT_LE(predict_plan(steps(share), kTwoStreams, test_device()).latency_us,
              predict_plan(steps(share), kOneStream, test_device()).latency_us);
}

TEST(PlanPrediction, AnOrderOfAnotherPlanIsADefect) {
  EXPECT_THROW(predict_plan(steps(1), StepOrder{}, test_device()), Error);
}

}  // namespace
}  // namespace duet
