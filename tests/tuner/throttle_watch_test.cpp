#include "tuner/throttle_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/fake_device.h"

namespace duet {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

DeviceState cool(int mhz = 1980) { return {.sm_clock_mhz = mhz, .temperature_c = 45, .power_mode = "700 W"}; }
DeviceState hot() { return {.sm_clock_mhz = 1980, .temperature_c = 92, .slowdown = "thermal slowdown"}; }

// So many over-current events since the board was started.
DeviceState counted(int events) {
  DeviceState state = cool();
  state.overcurrent_events = events;
  return state;
}

// Its states are told one after the other, the last for ever.
class ThrottlingDevice : public FakeDevice {
 public:
  std::optional<DeviceState> state() const override {
    if (states.empty()) return std::nullopt;
    return states[std::min(asked++, states.size() - 1)];
  }
  std::vector<DeviceState> states;
  mutable std::size_t asked = 0;
};

class Watch : public testing::Test {
 protected:
  // The number of the attempt that counts.
  int take() {
    int attempt = 0;
    return watch_.steady([&] { return ++attempt; });
  }
  ThrottlingDevice device_;
  std::vector<double> pauses_;
  ThrottleWatch watch_{device_, {}, [this](double seconds) { pauses_.push_back(seconds); }};
};

TEST_F(Watch, WhatWasTakenUnderThrottlingIsTakenAgain) {
  device_.states = {cool(), hot(), hot(), cool()};
  EXPECT_EQ(take(), 1);
  EXPECT_EQ(take(), 3);
  EXPECT_EQ(watch_.rounds_set_aside(), 2);
  EXPECT_THAT(pauses_, ElementsAre(0.1, 0.2));
  const std::string text = watch_.take_log().text();
  EXPECT_THAT(text, HasSubstr("2 rounds under thermal slowdown taken again"));
  EXPECT_THAT(text, HasSubstr("SM clock 1980 MHz and 45 to 92 C in 4 readings at 700 W"));
  EXPECT_EQ(watch_.take_log().text(), "") << "it was told";
}

TEST_F(Watch, AClockFarBelowTheHighestSeenIsThrottling) {
  device_.states = {cool(1980), cool(1300), cool(1900)};
  EXPECT_EQ(take(), 1);
  EXPECT_EQ(take(), 2);
  EXPECT_THAT(watch_.take_log().text(), HasSubstr("1 round under an SM clock of 1300 instead of 1980 MHz taken again"));
}

TEST_F(Watch, ABoardsClockIsHeldAgainstItsModesMaximum) {
  DeviceState slow = cool(600);
  slow.expected_sm_clock_mhz = 918;
  device_.states = {slow, cool(910)};
  EXPECT_EQ(take(), 2) << "though no higher clock was seen before";
}

// The clock is as ever at the moment of the reading: the counter alone tells.
TEST_F(Watch, ARoundInWhichTheSupplyGaveTooMuchIsTakenAgain) {
  device_.states = {counted(7),                 // the first reading: of before nothing is known
                    counted(9),  counted(9),    // before and after a round: 9 - 7 fell between the two
                    counted(9),  counted(11),   // two events in it
                    counted(14), counted(14)};  // it is taken again, after some in the pause
  EXPECT_EQ(take(), 1);
  EXPECT_EQ(take(), 1);
  EXPECT_EQ(take(), 2);
  EXPECT_THAT(watch_.take_log().text(), HasSubstr("1 round under over-current throttling taken again"));
}

TEST_F(Watch, ASupplyThatIsAlwaysTooWeakIsEndured) {
  for (int events = 0; events < 40; ++events) device_.states.push_back(counted(events));
  EXPECT_EQ(take(), 1);
  for (int round = 0; round < 3; ++round) EXPECT_EQ(take(), 5) << round;
  EXPECT_EQ(take(), 1);
  EXPECT_THAT(watch_.take_log().text(), HasSubstr("4 rounds taken under over-current throttling"));
}

TEST_F(Watch, RetriesAreBoundedAndALastingSlowdownIsEndured) {
  device_.states = {hot()};
  for (int round = 0; round < 3; ++round) EXPECT_EQ(take(), 5) << round;
  EXPECT_THAT(watch_.take_log().text(), HasSubstr("3 rounds taken under thermal slowdown"));
  EXPECT_EQ(take(), 1) << "waiting is no use any more";
  EXPECT_THAT(watch_.take_log().text(), HasSubstr("1 round taken under thermal slowdown")) << "and it is told";
  EXPECT_EQ(pauses_.size(), 12u);
}

TEST_F(Watch, WorseThanWhatIsEnduredIsSetAsideAgain) {
  device_.states = {cool(1980), cool(1300)};
  EXPECT_EQ(take(), 1);
  for (int round = 0; round < 3; ++round) take();
  EXPECT_EQ(take(), 1);
  device_.states = {cool(700), cool(1300)};
  device_.asked = 0;
  EXPECT_EQ(take(), 2);
}

TEST_F(Watch, ADeviceThatTellsNothingIsBelieved) {
  EXPECT_EQ(take(), 1);
  EXPECT_EQ(watch_.take_log().text(), "");
}

TEST(ThrottleCause, AnUnknownClockIsNone) {
  EXPECT_EQ(throttle_cause({}, 1980, 0.9), "");
  EXPECT_EQ(throttle_cause(cool(1790), 1980, 0.9), "");
  EXPECT_NE(throttle_cause(cool(1770), 1980, 0.9), "");
  DeviceState at_power_limit = cool(1500);
  at_power_limit.low_clock_explained = true;
  EXPECT_EQ(throttle_cause(at_power_limit, 1980, 0.9), "");
}

}  // namespace
}  // namespace duet
