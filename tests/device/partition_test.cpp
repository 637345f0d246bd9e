// Streams with SMs of their own and with priorities, captured into one graph, on a whole GPU and on a slice: kernels
// record where they ran.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <set>

#include "base/error.h"
#include "runtime/cuda/cuda_device.h"
#include "tests/device/ptx_kernels.h"

namespace duet {
namespace {

constexpr std::uint32_t kCycles = 20'000;

struct RecordParams {
  DeviceAddress data;
  std::uint32_t cycles, unused;
};

using SmSet = std::set<std::uint32_t>;

// The parameter is the size of the slice, 0 for the whole GPU.
class Partition : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    std::string why;
    if (!CudaDevice::available(&why)) GTEST_SKIP() << why;
    try {
      device_ = CudaDevice::open(0, GetParam());
    } catch (const Error& error) {
      GTEST_SKIP() << error.what();
    }
    sms_ = device_->info().fingerprint.sm_count;
    granule_ = device_->info().sm_granule;
    kernel_ = device_->load(ptx_kernel("record_sm", device_->info().fingerprint.arch, 32));
  }

  void require_division() {
    if (granule_.least < 1 || sms_ < 2 * granule_.least) GTEST_SKIP() << sms_ << " SMs that cannot be divided";
  }
  // About two thirds of the SMs.
  int large_share() const {
    int share = granule_.least;
    while (share + granule_.step <= std::min(sms_ * 2 / 3, sms_ - granule_.least)) share += granule_.step;
    return share;
  }

  // 32 blocks for each SM: all of them are used several times over.
  Launch record(const DeviceBuffer& buffer, int sms, int stream, StreamShare share) const {
    const RecordParams params{buffer.address(), kCycles, 0};
    Launch launch;
    launch.kernel = kernel_;
    launch.name = "record_sm";
    launch.grid = {.x = 32 * sms};
    launch.threads = 32;
    launch.params.resize(sizeof(params));
    std::memcpy(launch.params.data(), &params, sizeof(params));
    launch.stream = stream;
    launch.share = share;
    return launch;
  }
  DeviceBuffer make_buffer(int sms) {
    DeviceBuffer buffer(*device_, static_cast<std::size_t>(32 * sms) * 4);
    device_->fill(buffer.address(), std::byte{0xFF}, buffer.bytes());
    return buffer;
  }
  SmSet sms_in(const DeviceBuffer& buffer) {
    std::vector<std::uint32_t> sms(buffer.bytes() / 4);
    device_->read(std::as_writable_bytes(std::span(sms)), buffer.address());
    return {sms.begin(), sms.end()};
  }
  double median_us(std::span<const Launch> launches) {
    std::vector<double> times = device_->capture(launches)->time_us(5, CacheState::warm);
    std::sort(times.begin(), times.end());
    return times[2];
  }

  std::unique_ptr<CudaDevice> device_;
  int sms_ = 0;
  SmGranule granule_;
  LoadedKernel kernel_;
};

TEST_P(Partition, TowersKeepToSmsOfTheirOwnAndJointStepsHaveAll) {
  require_division();
  const int large = large_share(), small = sms_ - large;
  const DeviceBuffer first = make_buffer(large), second = make_buffer(small), joint = make_buffer(sms_);
  std::vector<Launch> launches{record(first, large, 1, {.sms = large}), record(second, small, 2, {.sms = small}),
                               record(joint, sms_, 0, {})};
  launches[2].waits = {0, 1};
  const auto executable = device_->capture(launches);
  executable->run();
  const SmSet on_first = sms_in(first), on_second = sms_in(second), on_all = sms_in(joint);
  std::cout << sms_ << " SMs divided " << on_first.size() << " + " << on_second.size() << ", granule " << granule_.least
            << "/" << granule_.step << "\n";
  EXPECT_EQ(on_first.size(), static_cast<std::size_t>(large));
  EXPECT_EQ(on_second.size(), static_cast<std::size_t>(small));
  EXPECT_EQ(on_all.size(), static_cast<std::size_t>(sms_));
  for (const std::uint32_t sm : on_first) EXPECT_FALSE(on_second.contains(sm)) << sm;
  SmSet both = on_first;
  both.insert(on_second.begin(), on_second.end());
  EXPECT_EQ(both, on_all);
  EXPECT_EQ(executable->time_us(3, CacheState::cold).size(), 3U);
}

TEST_P(Partition, TowersRunAtTheSameTime) {
  require_division();
  const int large = large_share(), small = sms_ - large;
  const DeviceBuffer first = make_buffer(large), second = make_buffer(small);
  const std::vector<Launch> both{record(first, large, 1, {.sms = large}), record(second, small, 2, {.sms = small})};
  const std::vector<Launch> one{record(first, large, 0, {.sms = large})};
  const double both_us = median_us(both), one_us = median_us(one);
  std::cout << one_us << " us for one part, " << both_us << " us for both\n";
  EXPECT_LT(both_us, 1.5 * one_us);
}

TEST_P(Partition, EveryPossibleShareCanBeCaptured) {
  require_division();
  for (int share = granule_.least; share <= sms_ - granule_.least; share += granule_.step) {
    for (const int own : {share, sms_ - share}) {
      const DeviceBuffer buffer = make_buffer(own);
      const Launch launch = record(buffer, own, 0, {.sms = own});
      device_->capture(std::span(&launch, 1))->run();
      EXPECT_EQ(sms_in(buffer).size(), static_cast<std::size_t>(own));
    }
  }
}

TEST_P(Partition, AnImpossibleOneRunsOnPlainStreams) {
  const DeviceBuffer first = make_buffer(sms_), second = make_buffer(sms_);
  const std::vector<Launch> launches{record(first, sms_, 0, {.sms = sms_}), record(second, sms_, 1, {.sms = sms_})};
  device_->capture(launches)->run();
  EXPECT_EQ(sms_in(first).size(), static_cast<std::size_t>(sms_));
  EXPECT_EQ(sms_in(second).size(), static_cast<std::size_t>(sms_));
}

// The stream that is launched last would wait for blocks of the other to end: with priority it goes first.
TEST_P(Partition, PriorityGoesBeforeTheOrderOfLaunch) {
  const auto late_us = [&](int priority) {
    const DeviceBuffer background = make_buffer(8 * sms_), urgent = make_buffer(sms_);
    std::vector<Launch> launches{record(background, 8 * sms_, 0, {}), record(urgent, sms_, 1, {.priority = priority}),
                                 record(urgent, sms_, 1, {.priority = priority})};
    device_->capture(launches)->run();
    EXPECT_EQ(sms_in(urgent).size(), static_cast<std::size_t>(sms_));
    return median_us(launches);
  };
  const double plain_us = late_us(0), urgent_us = late_us(1);
  std::cout << plain_us << " us without priority, " << urgent_us << " us with\n";
  EXPECT_LT(urgent_us, 1.1 * plain_us);
}

INSTANTIATE_TEST_SUITE_P(Targets, Partition, testing::Values(0, 16));

}  // namespace
}  // namespace duet
