// The engine on a device of functions: relocation, padding, streams and waits, guard bands, poison, refused inputs.
#include "runtime/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "runtime/plan_memory.h"
#include "runtime/weight_loading.h"
#include "tests/support/error_of.h"
#include "tests/support/two_tower_plan.h"

namespace duet {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class EngineTest : public testing::Test {
 protected:
  EngineTest() { two_tower::define_kernels(device_); }

  std::unique_ptr<Engine> make_engine(EngineOptions options = {}) {
    return std::make_unique<Engine>(device_, plan_, weights_, options);
  }
  static void set_inputs(Engine& engine) {
    engine.set_input("pixels", HostTensor::from_floats({2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6}));
    engine.set_input("ids", HostTensor::from_ints({2}, std::vector<std::int32_t>{9, 99}));
  }

  FakeDevice device_;
  Plan plan_ = two_tower::make_plan();
  MapWeights weights_ = two_tower::make_weights();
};

TEST_F(EngineTest, ComputesBothTowersAndStripsPadding) {
  const auto engine = make_engine();
  set_inputs(*engine);
  engine->run();
  const HostTensor scores = engine->output("scores");
  EXPECT_EQ(scores.shape, (Shape{2, 3}));
  EXPECT_THAT(scores.floats(), ElementsAre(11, 14, 22, 104, 110, 124));
}

TEST_F(EngineTest, PassesStreamsWaitsAndNullPointersOn) {
  const auto engine = make_engine();
  ASSERT_EQ(device_.captured.size(), 3U);
  EXPECT_EQ(device_.captured[1].stream, 1);
  EXPECT_THAT(device_.captured[2].waits, ElementsAre(1));
  EXPECT_EQ(FakeDevice::param<DeviceAddress>(device_.captured[1], 8), 0U);
  EXPECT_NE(FakeDevice::param<DeviceAddress>(device_.captured[1], 0), 0U);
  EXPECT_EQ(FakeDevice::param<DeviceAddress>(device_.captured[1], 16),
            FakeDevice::param<DeviceAddress>(device_.captured[0], 16) + 256);
  set_inputs(*engine);
  engine->run();
  EXPECT_THAT(device_.executed, ElementsAre("vision.scale", "text.look_up", "joint.add"));
}

TEST_F(EngineTest, PadsInputRowsWithZeros) {
  std::vector<float> seen;
  device_.define("scale", [&](const Launch& launch) {
    const auto* in = FakeDevice::pointer<const float>(FakeDevice::param<DeviceAddress>(launch, 0));
    seen.assign(in, in + two_tower::kRows * two_tower::kLd);
  });
  const auto engine = make_engine();
  set_inputs(*engine);
  engine->run();
  EXPECT_THAT(seen, ElementsAre(1, 2, 3, 0, 0, 0, 0, 0, 4, 5, 6, 0, 0, 0, 0, 0));
}

TEST_F(EngineTest, ConvertsFloatingInputs) {
  const auto engine = make_engine();
  set_inputs(*engine);
  const HostTensor pixels = HostTensor::from_floats({2, 3}, std::vector<float>{0, 0, 0, 0.5F, 0, 0});
  engine->set_input("pixels", convert(pixels, Dtype::bf16));
  engine->run();
  EXPECT_FLOAT_EQ(engine->output("scores").floats()[3], 100.5F);
}

TEST_F(EngineTest, CountersAndUnsetInputsAreZero) {
  plan_.steps[1].relocations[1].target = {BufferSpace::counters, 0, 0};
  std::vector<int> seen;
  device_.define("look_up", [&](const Launch& launch) {
    const auto* counters = FakeDevice::pointer<const std::byte>(FakeDevice::param<DeviceAddress>(launch, 8));
    for (int i = 0; i < 256; ++i) seen.push_back(std::to_integer<int>(counters[i]));
  });
  const auto engine = make_engine();
  set_inputs(*engine);
  engine->run();
  EXPECT_THAT(seen, testing::Each(0));
}

TEST_F(EngineTest, RefusesBadInputsByName) {
  const auto engine = make_engine();
  const HostTensor wrong_shape = HostTensor::zeros(Dtype::f32, {3, 2});
  EXPECT_THAT(error_of(ErrorKind::input, [&] { engine->set_input("pixels", wrong_shape); }),
              testing::AllOf(HasSubstr("'pixels'"), HasSubstr("(3, 2)"), HasSubstr("(2, 3)")));
  EXPECT_THAT(error_of(ErrorKind::input, [&] { engine->set_input("image", wrong_shape); }),
              testing::AllOf(HasSubstr("'image'"), HasSubstr("'pixels', 'ids'")));
  const HostTensor floats = HostTensor::zeros(Dtype::f32, {2});
  EXPECT_THAT(error_of(ErrorKind::input, [&] { engine->set_input("ids", floats); }), HasSubstr("'ids' holds f32"));
  const HostTensor ints = HostTensor::zeros(Dtype::i32, {2, 3});
  EXPECT_THAT(error_of(ErrorKind::input, [&] { engine->set_input("pixels", ints); }), HasSubstr("holds i32"));
  HostTensor cut = HostTensor::zeros(Dtype::f32, {2, 3});
  cut.bytes.resize(5);
  EXPECT_THAT(error_of(ErrorKind::input, [&] { engine->set_input("pixels", cut); }), HasSubstr("5 bytes"));
  EXPECT_THAT(error_of(ErrorKind::input, [&] { engine->output("embeds"); }), HasSubstr("'scores'"));
}

TEST_F(EngineTest, RefusesValuesOutsideTheLimit) {
  const auto engine = make_engine();
  for (const int value : {-1, 100, std::numeric_limits<int>::min()}) {
    const HostTensor ids = HostTensor::from_ints({2}, std::vector<std::int32_t>{0, value});
    EXPECT_THAT(error_of(ErrorKind::input, [&] { engine->set_input("ids", ids); }),
                HasSubstr(fmt::format("'ids': value {} at [1] is outside [0, 100)", value)));
  }
}

TEST_F(EngineTest, RunWithoutAnInputIsRefused) {
  const auto engine = make_engine();
  engine->set_input("ids", HostTensor::zeros(Dtype::i32, {2}));
  EXPECT_THAT(error_of(ErrorKind::input, [&] { engine->run(); }), HasSubstr("'pixels' was never set"));
}

TEST_F(EngineTest, GuardBandsNameTheSpaceThatWasOverrun) {
  const auto engine = make_engine({.guard_bytes = 64});
  set_inputs(*engine);
  engine->run();
  EXPECT_EQ(engine->check_guards(), "");
  device_.define("look_up", [](const Launch& launch) {
    auto* looked = FakeDevice::pointer<std::byte>(FakeDevice::param<DeviceAddress>(launch, 16));
    looked[256 + 3] = std::byte{1};  // the arena ends at 512, and `looked` starts at 256
  });
  engine->run();
  EXPECT_THAT(engine->check_guards(), testing::AllOf(HasSubstr("after arena"), HasSubstr("byte 3")));
}

TEST_F(EngineTest, GuardBandsSeeWritesBeforeAnOutput) {
  const auto engine = make_engine({.guard_bytes = 256});
  set_inputs(*engine);
  device_.define("add", [](const Launch& launch) {
    FakeDevice::pointer<std::byte>(FakeDevice::param<DeviceAddress>(launch, 16))[-1] = std::byte{0};
  });
  engine->run();
  EXPECT_THAT(engine->check_guards(), HasSubstr("before output 'scores'"));
}

TEST_F(EngineTest, PoisonShowsAnUnwrittenResult) {
  device_.define("add", [](const Launch&) {});
  const auto engine = make_engine({.guard_bytes = 256, .poison = std::byte{0xFF}});
  set_inputs(*engine);
  engine->run();
  for (const std::byte value : engine->output("scores").bytes) EXPECT_EQ(value, std::byte{0xFF});
  EXPECT_EQ(engine->check_guards(), "");
}

// The plans of a race, with the largest arena among them.
TEST_F(EngineTest, EnginesThatShareMemoryRunAtTheSameAddresses) {
  Plan larger = plan_;
  larger.arena_bytes += 4096;
  PlanMemory memory(device_, larger, 0);
  load_weights(device_, plan_, weights_, memory.address({.space = BufferSpace::weights}));
  const std::size_t allocated = device_.live_allocations();
  const auto one = make_engine({.memory = &memory}), other = make_engine({.memory = &memory});
  EXPECT_EQ(device_.live_allocations(), allocated);
  EXPECT_EQ(one->input_address("pixels"), other->input_address("pixels"));
  for (Engine* engine : {one.get(), other.get()}) {
    set_inputs(*engine);
    engine->run();
    EXPECT_THAT(engine->output("scores").floats(), ElementsAre(11, 14, 22, 104, 110, 124));
  }
}

TEST_F(EngineTest, MemoryThatDoesNotHoldThePlanIsRefused) {
  PlanMemory memory(device_, plan_, 0);
  EXPECT_TRUE(memory.holds(plan_));
  Plan larger = plan_;
  larger.arena_bytes += 1;
  EXPECT_FALSE(memory.holds(larger));
  Plan other = plan_;
  other.outputs.front().ld += 8;
  EXPECT_FALSE(memory.holds(other));
  plan_ = larger;
  error_of(ErrorKind::internal, [&] { make_engine({.memory = &memory}); });
}

TEST_F(EngineTest, MissingAndMisshapenWeightsAreErrors) {
  weights_ = MapWeights();
  EXPECT_THAT(error_of(ErrorKind::input, [&] { make_engine(); }), HasSubstr("'scale'"));
  weights_.set("scale", HostTensor::zeros(Dtype::f32, {4}));
  EXPECT_THAT(error_of(ErrorKind::input, [&] { make_engine(); }), HasSubstr("scale"));
  EXPECT_EQ(device_.live_kernels, 0);
  EXPECT_EQ(device_.live_allocations(), 0U);
}

TEST_F(EngineTest, ManyWeightsLoadInParallel) {
  plan_.weights.clear();
  plan_.weight_bytes = 0;
  for (int i = 0; i < 200; ++i) {
    PlanWeight weight = two_tower::make_plan().weights[0];
    weight.recipe.name = fmt::format("w{}", i);
    weight.recipe.sources[0].tensor = weight.recipe.name;
    weight.offset_bytes = static_cast<std::uint64_t>(i) * 256;
    weights_.set(weight.recipe.name, HostTensor::from_floats({3}, std::vector<float>{static_cast<float>(i), 0, 0}));
    plan_.weights.push_back(weight);
    plan_.weight_bytes += 256;
  }
  const auto engine = make_engine();
  const DeviceAddress weights = FakeDevice::param<DeviceAddress>(device_.captured[0], 8);
  for (std::uint64_t i = 0; i < 200; ++i) {
    EXPECT_EQ(*FakeDevice::pointer<const float>(weights + i * 256), static_cast<float>(i));
  }
}

TEST_F(EngineTest, AKernelWithoutImageUnloadsTheOthers) {
  device_.refused_entry = "add";
  EXPECT_THAT(error_of(ErrorKind::missing, [&] { make_engine(); }), HasSubstr("add"));
  EXPECT_EQ(device_.live_kernels, 0);
}

TEST_F(EngineTest, OutOfMemoryLeavesNothingBehind) {
  device_.memory_limit = 300;
  EXPECT_THAT(error_of(ErrorKind::device, [&] { make_engine(); }), HasSubstr("512 bytes"));
  EXPECT_EQ(device_.live_allocations(), 0U);
}

TEST_F(EngineTest, InvalidPlansAreRefused) {
  plan_.steps[2].kernel = 7;
  error_of(ErrorKind::input, [&] { make_engine(); });
  plan_ = two_tower::make_plan();
  plan_.steps.clear();
  error_of(ErrorKind::input, [&] { make_engine(); });
}

TEST_F(EngineTest, TimesAreEmptyWhereTheyMeanNothing) {
  const auto engine = make_engine();
  EXPECT_TRUE(engine->time_us(5, CacheState::cold).empty());
  device_.mutable_info().can_measure = true;
  EXPECT_EQ(engine->time_us(5, CacheState::warm).size(), 5U);
}

TEST_F(EngineTest, EverythingIsReleased) {
  make_engine().reset();
  EXPECT_EQ(device_.live_allocations(), 0U);
  EXPECT_EQ(device_.live_kernels, 0);
}

}  // namespace
}  // namespace duet
