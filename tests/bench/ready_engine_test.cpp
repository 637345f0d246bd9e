#include "bench/ready_engine.h"

#include <gtest/gtest.h>

#include "tests/support/two_tower_plan.h"

namespace duet {
namespace {

TEST(ReadyEngine, HasRunOnItsInputs) {
  FakeDevice device;
  two_tower::define_kernels(device);
  const Plan plan = two_tower::make_plan();
  const MapWeights weights = two_tower::make_weights();
  const std::map<std::string, HostTensor> inputs{
      {"pixels", HostTensor::from_floats({2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6})},
      {"ids", HostTensor::from_ints({2}, std::vector<std::int32_t>{9, 99})},
      {"of another tower", HostTensor::from_ints({1}, std::vector<std::int32_t>{0})}};
  const std::unique_ptr<Engine> warm = ready_engine(device, plan, weights, inputs);
  const std::unique_ptr<Engine> fresh = ready_engine(device, plan, weights, inputs, 0);
  EXPECT_NE(warm->output("scores").bytes, fresh->output("scores").bytes) << "one of them has not run";
  fresh->run();
  EXPECT_EQ(warm->output("scores").bytes, fresh->output("scores").bytes);
}

}  // namespace
}  // namespace duet
