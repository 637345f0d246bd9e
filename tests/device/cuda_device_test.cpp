// CudaDevice on a GPU: memory, images, captured graphs with two streams, timing, and what is said when things fail.
#include "runtime/cuda/cuda_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <numeric>
#include <optional>

#include "base/error.h"
#include "runtime/engine.h"
#include "runtime/generated_weights.h"
#include "tests/device/ptx_kernels.h"
#include "tests/support/error_of.h"

namespace duet {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// Parameter blocks of the PTX kernels.
struct AddValueParams {
  DeviceAddress out, in;
  std::uint32_t count, value;
};
struct SlowStepParams {
  DeviceAddress data;
  std::uint32_t cycles, value;
};
struct SharedParams {
  DeviceAddress data;
  std::uint32_t offset, value;
};

template <typename Params>
std::vector<std::byte> as_block(const Params& params) {
  std::vector<std::byte> block(sizeof(Params));
  std::memcpy(block.data(), &params, sizeof(Params));
  return block;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.at(values.size() / 2);
}

class CudaDeviceTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string why;
    if (!CudaDevice::available(&why)) GTEST_SKIP() << why;
    device_ = CudaDevice::open();
  }

  const std::string& arch() const { return device_->info().fingerprint.arch; }
  PlanKernel kernel(const std::string& entry, int threads, int smem_bytes = 0) const {
    return ptx_kernel(entry, arch(), threads, smem_bytes);
  }
  Launch slow_step(LoadedKernel loaded, const std::string& name, DeviceAddress data, std::uint32_t cycles,
                   std::uint32_t value) const {
    Launch launch;
    launch.kernel = loaded;
    launch.name = name;
    launch.threads = 1;
    launch.params = as_block(SlowStepParams{data, cycles, value});
    return launch;
  }
  std::uint32_t read_word(DeviceAddress address) {
    std::uint32_t word = 0;
    device_->read(std::as_writable_bytes(std::span(&word, 1)), address);
    return word;
  }
  void write_word(DeviceAddress address, std::uint32_t word) {
    device_->write(address, std::as_bytes(std::span(&word, 1)));
  }

  std::unique_ptr<CudaDevice> device_;
};

TEST_F(CudaDeviceTest, DescribesItself) {
  const DeviceInfo& info = device_->info();
  EXPECT_FALSE(info.fingerprint.module.empty());
  EXPECT_THAT(info.fingerprint.arch, testing::StartsWith("sm_"));
  EXPECT_GT(info.fingerprint.sm_count, 0);
  EXPECT_GT(info.fingerprint.sm_clock_mhz, 100);
  EXPECT_GT(info.fingerprint.l2_bytes, 1 << 18);
  EXPECT_GE(info.fingerprint.driver_version, 12000);
  EXPECT_GE(info.smem_bytes_per_block, 48 * 1024);
  EXPECT_GE(info.smem_bytes_per_sm, info.smem_bytes_per_block);
  EXPECT_GE(info.threads_per_sm, 1024);
  EXPECT_GE(info.registers_per_sm, 32768);
  EXPECT_GT(info.memory_bytes, 1 << 28);
  EXPECT_GE(info.blocks_per_sm, 8);
  EXPECT_GE(info.memory_gbps, 0);
  EXPECT_TRUE(info.can_measure);
  const std::string text = device_->environment_text();
  EXPECT_THAT(text, AllOf(HasSubstr(info.fingerprint.module), HasSubstr(arch()), HasSubstr("MHz"), HasSubstr("Z")));
  std::cout << text << "\n";
}

// It is read after every round of samples while tuning.
TEST_F(CudaDeviceTest, TheStateIsReadInLessThanARoundOfSamples) {
  const std::optional<DeviceState> first = device_->state();
  if (!first) GTEST_SKIP() << "neither NVML nor a Jetson's files are here";
  EXPECT_GT(first->sm_clock_mhz, 0);
  constexpr int kReadings = 50;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kReadings; ++i) device_->state();
  const double reading_us =
      std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count() / kReadings;
  EXPECT_LT(reading_us, 10e3);
  std::cout << "a reading takes " << reading_us << " us; " << first->sm_clock_mhz << " MHz, " << first->temperature_c
            << " C, " << first->power_mode << ", slowdown '" << first->slowdown << "'\n";
}

TEST_F(CudaDeviceTest, MemoryRoundTrip) {
  std::vector<std::byte> sent(100'003);
  for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<std::byte>(i * 7);
  const DeviceBuffer buffer(*device_, sent.size());
  EXPECT_EQ(buffer.address() % 256, 0U);
  device_->write(buffer.address(), sent);
  device_->fill(buffer.address() + 10, std::byte{0xAB}, 5);
  std::fill_n(sent.begin() + 10, 5, std::byte{0xAB});
  std::vector<std::byte> received(sent.size());
  device_->read(received, buffer.address());
  EXPECT_EQ(received, sent);
}

TEST_F(CudaDeviceTest, RunsAGridMoreThanOnce) {
  constexpr std::uint32_t kCount = 1000;
  std::vector<std::uint32_t> values(kCount);
  std::iota(values.begin(), values.end(), 0U);
  const DeviceBuffer buffer(*device_, kCount * 4);
  device_->write(buffer.address(), std::as_bytes(std::span(values)));
  Launch launch;
  launch.kernel = device_->load(kernel("add_value", 128));
  launch.name = "add";
  launch.grid = {.x = 8};
  launch.threads = 128;
  launch.params = as_block(AddValueParams{buffer.address(), buffer.address(), kCount, 5});
  const auto executable = device_->capture(std::span(&launch, 1));
  executable->run();
  executable->run();
  device_->read(std::as_writable_bytes(std::span(values)), buffer.address());
  for (std::uint32_t i = 0; i < kCount; ++i) ASSERT_EQ(values[i], i + 10);
}

TEST_F(CudaDeviceTest, WaitsOrderTwoStreams) {
  const DeviceBuffer buffer(*device_, 256);
  const LoadedKernel loaded = device_->load(kernel("slow_step", 1));
  std::vector<Launch> launches{slow_step(loaded, "a", buffer.address(), 500'000, 1),
                               slow_step(loaded, "b", buffer.address(), 100'000, 3),
                               slow_step(loaded, "c", buffer.address(), 1'000, 5)};
  launches[1].stream = 1;
  launches[1].waits = {0};
  launches[2].waits = {1};
  const auto executable = device_->capture(launches);
  for (int i = 0; i < 10; ++i) {
    write_word(buffer.address(), 1);
    executable->run();
    ASSERT_EQ(read_word(buffer.address()), 23U);  // ((1 * 2 + 1) * 2 + 3) * 2 + 5
  }
}

TEST_F(CudaDeviceTest, StreamsOverlapAndJoin) {
  const DeviceBuffer buffer(*device_, 512);
  const LoadedKernel loaded = device_->load(kernel("slow_step", 1));
  std::vector<Launch> launches{slow_step(loaded, "a", buffer.address(), 2'000'000, 1),
                               slow_step(loaded, "b", buffer.address() + 256, 2'000'000, 1)};
  const double one_stream_us = median(device_->capture(launches)->time_us(5, CacheState::warm));
  launches[1].stream = 1;
  const auto executable = device_->capture(launches);
  EXPECT_LT(median(executable->time_us(5, CacheState::warm)), 0.7 * one_stream_us);
  write_word(buffer.address(), 0);
  write_word(buffer.address() + 256, 0);
  executable->run();
  EXPECT_EQ(read_word(buffer.address()), 1U);
  EXPECT_EQ(read_word(buffer.address() + 256), 1U);
}

TEST_F(CudaDeviceTest, TimesArePlausible) {
  const DeviceBuffer buffer(*device_, 256);
  const LoadedKernel loaded = device_->load(kernel("slow_step", 1));
  constexpr std::uint32_t kCycles = 2'000'000;
  const std::vector<Launch> slow{slow_step(loaded, "slow", buffer.address(), kCycles, 1)};
  const std::vector<Launch> quick{slow_step(loaded, "quick", buffer.address(), 0, 1)};
  const double expected_us = kCycles / static_cast<double>(device_->info().fingerprint.sm_clock_mhz);
  for (const CacheState caches : {CacheState::warm, CacheState::cold}) {
    const std::vector<double> times = device_->capture(slow)->time_us(11, caches);
    ASSERT_EQ(times.size(), 11U);
    EXPECT_GT(median(times), 0.8 * expected_us);
    EXPECT_LT(median(times), 4 * expected_us);  // the clock may be below its maximum
    const double quick_us = median(device_->capture(quick)->time_us(21, caches));
    EXPECT_GT(quick_us, 0.5);
    EXPECT_LT(quick_us, 25);  // the host's launch is not in the interval
    std::cout << (caches == CacheState::warm ? "warm" : "cold") << ": slow " << median(times) << " us, empty "
              << quick_us << " us\n";
  }
  EXPECT_TRUE(device_->capture(quick)->time_us(0, CacheState::warm).empty());
}

TEST_F(CudaDeviceTest, QueuedRunsAreAllDoneAndTakeEnergy) {
  const DeviceBuffer buffer(*device_, 256);
  write_word(buffer.address(), 1);
  const Launch step = slow_step(device_->load(kernel("slow_step", 1)), "step", buffer.address(), 1000, 1);
  const std::unique_ptr<Executable> executable = device_->capture(std::span(&step, 1));
  executable->run_queued(3);
  EXPECT_EQ(read_word(buffer.address()), 15U);

  const std::unique_ptr<EnergyCounter> counter = device_->energy_counter();
  if (!counter) GTEST_SKIP() << "no energy counter here";
  const double before_mj = counter->read_mj();
  executable->run_queued(200'000);  // some 0.3 s
  EXPECT_GT(counter->read_mj(), before_mj);
}

TEST_F(CudaDeviceTest, LargeSharedMemoryIsOptedInTo) {
  const int smem_bytes = device_->info().smem_bytes_per_block;
  const DeviceBuffer buffer(*device_, 256);
  Launch launch;
  launch.kernel = device_->load(kernel("shared_round_trip", 1, smem_bytes));
  launch.name = "shared";
  launch.threads = 1;
  launch.smem_bytes = smem_bytes;
  launch.params = as_block(SharedParams{buffer.address(), static_cast<std::uint32_t>(smem_bytes - 4), 77});
  device_->capture(std::span(&launch, 1))->run();
  EXPECT_EQ(read_word(buffer.address()), 77U);
  EXPECT_THAT(error_of(ErrorKind::device, [&] { device_->load(kernel("shared_round_trip", 1, smem_bytes + 1)); }),
              AllOf(HasSubstr("shared_round_trip"), HasSubstr(std::to_string(smem_bytes))));
}

TEST_F(CudaDeviceTest, BadImagesAreRefused) {
  PlanKernel damaged = kernel("add_value", 32);
  damaged.images[0].bytes[10] = std::byte{'!'};
  EXPECT_THAT(error_of(ErrorKind::input, [&] { device_->load(damaged); }), HasSubstr("damaged"));
  PlanKernel nonsense = kernel("add_value", 32);
  nonsense.images[0].bytes.assign(64, std::byte{0});
  nonsense.images[0].hash = hash_bytes(nonsense.images[0].bytes);
  EXPECT_THAT(error_of(ErrorKind::input, [&] { device_->load(nonsense); }), HasSubstr("CUDA_ERROR_"));
  EXPECT_THAT(error_of(ErrorKind::input, [&] { device_->load(kernel("no_such_entry", 32)); }),
              HasSubstr("no_such_entry"));
  PlanKernel foreign = kernel("add_value", 32);
  foreign.images[0].arch = "sm_53";
  EXPECT_THAT(error_of(ErrorKind::missing, [&] { device_->load(foreign); }),
              AllOf(HasSubstr("sm_53"), HasSubstr(arch())));
}

TEST_F(CudaDeviceTest, BadLaunchesAreNamedAndLeaveTheDeviceUsable) {
  const LoadedKernel loaded = device_->load(kernel("slow_step", 1));
  const DeviceBuffer buffer(*device_, 256);
  Launch launch = slow_step(loaded, "too.wide", buffer.address(), 1, 1);
  launch.threads = 4096;
  EXPECT_THAT(error_of(ErrorKind::device, [&] { device_->capture(std::span(&launch, 1)); }),
              AllOf(HasSubstr("too.wide"), HasSubstr("4096 threads")));
  launch.threads = 1;
  launch.waits = {0};
  EXPECT_THAT(error_of(ErrorKind::internal, [&] { device_->capture(std::span(&launch, 1)); }), HasSubstr("too.wide"));
  launch.waits.clear();
  write_word(buffer.address(), 1);
  device_->capture(std::span(&launch, 1))->run();
  EXPECT_EQ(read_word(buffer.address()), 3U);
}

TEST_F(CudaDeviceTest, OutOfMemoryNamesTheSizes) {
  EXPECT_THAT(error_of(ErrorKind::device, [&] { device_->allocate(std::size_t{1} << 45); }),
              AllOf(HasSubstr("out of device memory"), HasSubstr("35184372088832 bytes asked for"), HasSubstr("free")));
  const DeviceBuffer buffer(*device_, 1024);
  EXPECT_NE(buffer.address(), 0U);
}

TEST_F(CudaDeviceTest, UnloadedKernelsCanBeLoadedAgain) {
  for (int i = 0; i < 3; ++i) device_->unload(device_->load(kernel("add_value", 32)));
}

TEST_F(CudaDeviceTest, NoSuchGpu) {
  EXPECT_THAT(error_of(ErrorKind::missing, [&] { CudaDevice::open(999); }), HasSubstr("999"));
}

TEST_F(CudaDeviceTest, TheEngineRunsAPlan) {
  Plan plan;
  plan.key.model = "add";
  plan.key.graph_hash = "0123456789abcdef0123456789abcdef";
  plan.key.variant = "test";
  plan.key.device = device_->info().fingerprint;
  plan.kernels = {kernel("add_value", 32)};
  plan.inputs = {{"ids", Dtype::i32, {4}, 4, 100}};
  plan.outputs = {{"sums", Dtype::i32, {4}, 4, 0}};
  plan.arena_bytes = 256;
  const BufferRef scratch{BufferSpace::arena, 0, 0};
  const auto add_step = [](const std::string& name, BufferRef out, BufferRef in) {
    PlanStep step;
    step.name = name;
    step.tower = "text";
    step.params = as_block(AddValueParams{0, 0, 4, 7});
    step.relocations = {{0, out}, {8, in}};
    return step;
  };
  plan.steps = {add_step("first", scratch, {BufferSpace::input, 0, 0}),
                add_step("second", {BufferSpace::output, 0, 0}, scratch)};
  plan.stream_count = 2;
  plan.mode = ExecutionMode::streams;
  plan.steps[1].stream = 1;
  plan.steps[1].waits = {0};
  Engine engine(*device_, plan, MapWeights(), {.guard_bytes = 256, .poison = std::byte{0xFF}});
  engine.set_input("ids", HostTensor::from_ints({4}, std::vector<std::int32_t>{0, 1, 2, 99}));
  engine.run();
  EXPECT_THAT(engine.output("sums").ints(), testing::ElementsAre(14, 15, 16, 113));
  EXPECT_EQ(engine.check_guards(), "");
  EXPECT_EQ(engine.time_us(3, CacheState::cold).size(), 3U);
}

// The context does not survive it: a child process does this.
using CudaDeviceDeathTest = CudaDeviceTest;
[[noreturn]] void run_with_illegal_address() {
  const auto device = CudaDevice::open();
  Launch launch;
  launch.kernel = device->load(ptx_kernel("slow_step", device->info().fingerprint.arch, 1));
  launch.name = "text.broken";
  launch.threads = 1;
  launch.params = as_block(SlowStepParams{0x10, 1, 1});
  const auto executable = device->capture(std::span(&launch, 1));
  try {
    executable->run();
  } catch (const Error& error) {
    std::cerr << error.what() << "\n";
    try {
      executable->run();
    } catch (const Error&) {
      std::_Exit(static_cast<int>(error.kind()));
    }
  }
  std::_Exit(0);
}

TEST_F(CudaDeviceDeathTest, AnIllegalAddressIsReportedWithTheLaunch) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(run_with_illegal_address(), testing::ExitedWithCode(static_cast<int>(ErrorKind::device)),
              "text.broken failed: .*CUDA_ERROR_ILLEGAL_ADDRESS");
}

}  // namespace
}  // namespace duet
