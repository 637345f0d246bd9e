// When `duet tune` points to SMs for each tower.
#include "cli/mode_hint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace duet {
namespace {

using testing::HasSubstr;

class DivideHint : public testing::Test {
 protected:
  DivideHint() {
    plan.mode = ExecutionMode::streams;
    plan.stream_count = 2;
    device.can_measure = true;
    device.sm_granule = {.least = 8, .step = 8};
    device.fingerprint.sm_count = 132;
  }
  std::string hint() const { return divide_hint(plan, device); }

  Plan plan;
  DeviceInfo device;
};

TEST_F(DivideHint, NamesTheFlagWhereSmsCanBeDivided) { EXPECT_THAT(hint(), HasSubstr("--mode partition")); }

TEST_F(DivideHint, SaysNothingOfAPlanWithoutStreams) {
  plan.mode = ExecutionMode::sequential;
  EXPECT_EQ(hint(), "");
  plan.mode = ExecutionMode::partition;
  EXPECT_EQ(hint(), "");
}

TEST_F(DivideHint, SaysNothingOfOneTower) {
  plan.stream_count = 1;
  EXPECT_EQ(hint(), "");
}

TEST_F(DivideHint, SaysNothingWhereSmsCannotBeDivided) {
  device.sm_granule = {};
  EXPECT_EQ(hint(), "");
}

TEST_F(DivideHint, SaysNothingOfFewSms) {
  device.fingerprint.sm_count = 8;
  EXPECT_EQ(hint(), "");
}

TEST_F(DivideHint, SaysNothingWhereNothingIsMeasured) {
  device.can_measure = false;
  EXPECT_EQ(hint(), "");
}

}  // namespace
}  // namespace duet
