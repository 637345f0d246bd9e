#include "tuner/repeatability.h"

#include <gtest/gtest.h>

#include "tests/support/two_tower_plan.h"

namespace duet {
namespace {

class RepeatabilityTest : public ::testing::Test {
 protected:
  RepeatabilityTest() { two_tower::define_kernels(device_); }

  Repeatability check(int runs) {
    const std::map<std::string, HostTensor> inputs{
        {"pixels", HostTensor::from_floats({2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6})},
        {"ids", HostTensor::from_ints({2}, std::vector<std::int32_t>{9, 99})}};
    Engine engine(device_, two_tower::make_plan(), two_tower::make_weights());
    for (const auto& [name, tensor] : inputs) engine.set_input(name, tensor);
    return check_repeatability(engine, runs);
  }

  FakeDevice device_;
};

TEST_F(RepeatabilityTest, EqualRunsAreCounted) {
  const Repeatability result = check(8);
  EXPECT_EQ(result.runs, 8);
  EXPECT_EQ(result.different, 0);
  EXPECT_EQ(result.difference, "");
}

TEST_F(RepeatabilityTest, ARunWithOtherBitsIsFound) {
  int calls = 0;
  device_.define("look_up", [&](const Launch& launch) {
    auto* out = FakeDevice::pointer<float>(FakeDevice::param<DeviceAddress>(launch, 16));
    for (int row = 0; row < two_tower::kRows; ++row) out[row] = calls == 2 ? 1.0F : 2.0F;
    ++calls;
  });
  // The device only pretends to time: of seven runs every second one leaves the outputs as they are.
  const Repeatability result = check(7);
  EXPECT_EQ(result.runs, 7);
  EXPECT_EQ(result.different, 2) << "the third execution, and the pretended one after it";
  EXPECT_EQ(result.difference.substr(0, 14), "run 3: scores ") << result.difference;
}

}  // namespace
}  // namespace duet
