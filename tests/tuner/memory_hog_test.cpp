#include "tuner/memory_hog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>

#include "base/error.h"
#include "templates/stream_config.h"
#include "tests/support/error_of.h"
#include "tests/support/fake_device.h"
#include "tests/tuner/fakes.h"

namespace duet {
namespace {

using ::testing::HasSubstr;

constexpr double kAloneGbps = 600, kLeastGbps = 60;
constexpr double kClockMhz = 2000;

// What a slice is left with beside a hog that reads a chunk every `period_us`.
double left_gbps(double period_us) { return kAloneGbps - (kAloneGbps - kLeastGbps) / (1 + period_us / 20); }

class TimedStream : public Executable {
 public:
  TimedStream(double bytes, double gbps) : us_(bytes / (gbps * 1e3)) {}
  void run() override {}
  std::vector<double> time_us(int samples, CacheState) override {
    return std::vector<double>(static_cast<std::size_t>(samples), us_);
  }

 private:
  double us_;
};

// A slice of 16 SMs whose memory behaves as above; its memory can be lost as a worker's can.
class FakeSlice : public FakeDevice {
 public:
  FakeSlice() {
    mutable_info().fingerprint = {.module = "GPU, 16 of 132 SMs", .arch = "sm_90", .sm_count = 16};
    mutable_info().fingerprint.sm_clock_mhz = static_cast<int>(kClockMhz);
    mutable_info().can_measure = true;
    mutable_info().other_sms = 116;
  }
  std::unique_ptr<Executable> capture(std::span<const Launch> launches) override {
    return std::make_unique<TimedStream>(bytes_of(launches[0]), kAloneGbps);
  }
  std::unique_ptr<Executable> capture_beside(std::span<const Launch> launches, const Background& background) override {
    last = background;
    const double cycles = param<u32>(background.launch, offsetof(StreamParams, period_cycles));
    return std::make_unique<TimedStream>(bytes_of(launches[0]), left_gbps(cycles / kClockMhz));
  }
  void write(DeviceAddress destination, std::span<const std::byte> source) override {
    if (lost) fail(ErrorKind::device, "lost when the worker process ended");
    FakeDevice::write(destination, source);
  }
  DeviceAddress allocate(std::size_t bytes) override {
    lost = false;
    return FakeDevice::allocate(bytes);
  }

  bool lost = false;
  Background last;

 private:
  static double bytes_of(const Launch& launch) {
    if (launch.params.size() != sizeof(StreamParams)) return 1;
    return static_cast<double>(param<u64>(launch, offsetof(StreamParams, most_chunks))) * launch.grid.x *
           StreamConfig{}.chunk_bytes();
  }
};

TEST(HogPeriod, IsFoundByBisection) {
  for (const double asked : {70.0, 102.0, 204.0, 590.0}) {
    int measured = 0;
    const double period_us = find_hog_period_us(asked, [&](double period) {
      ++measured;
      return left_gbps(period);
    });
    EXPECT_NEAR(left_gbps(period_us), asked, 0.021 * asked);
    EXPECT_LE(measured, 17);
  }
  EXPECT_EQ(find_hog_period_us(50, left_gbps), 0) << "no hog leaves less than 60";
}

TEST(HoggedDevice, LeavesWhatIsAskedAndSaysWhatIsLeft) {
  FakeCompiler compiler;
  auto slice = std::make_unique<FakeSlice>();
  FakeSlice& fake = *slice;
  HoggedDevice device(std::move(slice), compiler, 102);
  EXPECT_DOUBLE_EQ(device.hog().alone_gbps, kAloneGbps);
  EXPECT_NEAR(device.hog().left_gbps, 102, 3);
  EXPECT_EQ(device.hog().sms, 116);
  EXPECT_EQ(device.info().fingerprint.module, "GPU, 16 of 132 SMs, 102 GB/s");
  EXPECT_EQ(device.info().memory_gbps, device.hog().left_gbps);
  EXPECT_THAT(device.environment_text(), HasSubstr("of 600 GB/s left to the slice by a hog on 116 SMs (measured)"));
  std::vector<Launch> launches(1);
  device.capture(launches);
  EXPECT_EQ(fake.last.launch.grid.x, 2 * 116);
  EXPECT_NE(fake.last.stop, fake.last.started);
  EXPECT_EQ(FakeDevice::param<DeviceAddress>(fake.last.launch, offsetof(StreamParams, stop)), fake.last.stop);
}

TEST(HoggedDevice, MakesItsHogAnewWhereAWorkerTookItAlong) {
  FakeCompiler compiler;
  auto slice = std::make_unique<FakeSlice>();
  FakeSlice& fake = *slice;
  HoggedDevice device(std::move(slice), compiler, 102);
  const std::size_t loads = fake.loaded.size();
  std::vector<Launch> launches(1);
  device.capture(launches);
  EXPECT_EQ(fake.loaded.size(), loads);
  fake.lost = true;
  device.capture(launches);
  EXPECT_EQ(fake.loaded.size(), loads + 1);
}

TEST(HoggedDevice, NeedsASliceAndAnAmountThatItHas) {
  FakeCompiler compiler;
  EXPECT_THAT(error_of(ErrorKind::usage, [&] { HoggedDevice(std::make_unique<FakeDevice>(), compiler, 102); }),
              HasSubstr("no slice"));
  EXPECT_THAT(error_of(ErrorKind::usage, [&] { HoggedDevice(std::make_unique<FakeSlice>(), compiler, 900); }),
              HasSubstr("reads 600 GB/s by itself, less than the 900"));
  const HoggedDevice greedy(std::make_unique<FakeSlice>(), compiler, 30);
  EXPECT_DOUBLE_EQ(greedy.hog().left_gbps, kLeastGbps) << "measured, not what was asked for";
}

}  // namespace
}  // namespace duet
