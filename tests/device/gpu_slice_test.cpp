// A slice of a GPU keeps to its SMs: kernels record where they ran, alone and in a captured graph of two streams.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <set>

#include "base/error.h"
#include "runtime/cuda/cuda_device.h"
#include "tests/device/ptx_kernels.h"

namespace duet {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr std::uint32_t kCycles = 20'000;  // long enough for the whole grid to be placed before the first block ends

struct RecordParams {
  DeviceAddress data;
  std::uint32_t cycles, unused;
};

// Granules of 4, 8 and 16 hold these on every architecture that can be sliced.
class GpuSlice : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    std::string why;
    if (!CudaDevice::available(&why)) GTEST_SKIP() << why;
    all_sms_ = CudaDevice::open()->info().fingerprint.sm_count;
    try {
      device_ = CudaDevice::open(0, GetParam());
    } catch (const Error& error) {
      GTEST_SKIP() << error.what();
    }
    kernel_ = device_->load(ptx_kernel("record_sm", device_->info().fingerprint.arch, 32));
  }

  // Enough blocks to fill every SM of the whole GPU several times over.
  std::size_t blocks() const { return static_cast<std::size_t>(all_sms_) * 32; }
  Launch record(const DeviceBuffer& buffer) const {
    const RecordParams params{buffer.address(), kCycles, 0};
    Launch launch;
    launch.kernel = kernel_;
    launch.name = "record_sm";
    launch.grid = {.x = static_cast<int>(blocks())};
    launch.threads = 32;
    launch.params.resize(sizeof(params));
    std::memcpy(launch.params.data(), &params, sizeof(params));
    return launch;
  }
  DeviceBuffer make_buffer() {
    DeviceBuffer buffer(*device_, blocks() * 4);
    device_->fill(buffer.address(), std::byte{0xFF}, buffer.bytes());
    return buffer;
  }
  std::set<std::uint32_t> sms_in(const DeviceBuffer& buffer) {
    std::vector<std::uint32_t> sms(blocks());
    device_->read(std::as_writable_bytes(std::span(sms)), buffer.address());
    return {sms.begin(), sms.end()};
  }

  int all_sms_ = 0;
  std::unique_ptr<CudaDevice> device_;
  LoadedKernel kernel_;
};

TEST_P(GpuSlice, DescribesItselfAsASlice) {
  const DeviceFingerprint& device = device_->info().fingerprint;
  EXPECT_EQ(device.sm_count, GetParam());
  EXPECT_EQ(device.target, fmt::format("auto/{}sm", GetParam()));
  const std::string share = fmt::format("{} of {} SMs", GetParam(), all_sms_);
  EXPECT_THAT(device.module, HasSubstr(share));
  EXPECT_THAT(device_->environment_text(), HasSubstr(share));
  EXPECT_NE(device.module, CudaDevice::open()->info().fingerprint.module);
}

TEST_P(GpuSlice, AGraphOfOneStreamKeepsToItsSms) {
  const DeviceBuffer buffer = make_buffer();
  const Launch launch = record(buffer);
  device_->capture(std::span(&launch, 1))->run();
  EXPECT_EQ(sms_in(buffer).size(), static_cast<std::size_t>(GetParam()));
}

TEST_P(GpuSlice, AGraphOfTwoStreamsKeepsToItsSms) {
  const DeviceBuffer first = make_buffer();
  const DeviceBuffer second = make_buffer();
  std::vector<Launch> launches{record(first), record(second), record(first)};
  launches[1].stream = 1;
  launches[2].waits = {1};
  const auto executable = device_->capture(launches);
  executable->run();
  std::set<std::uint32_t> both = sms_in(first);
  both.merge(sms_in(second));
  EXPECT_EQ(both.size(), static_cast<std::size_t>(GetParam()));
  EXPECT_EQ(executable->time_us(3, CacheState::cold).size(), 3U);
  EXPECT_EQ(sms_in(first), sms_in(second));
}

TEST_P(GpuSlice, TakesLongerThanTheWholeGpu) {
  if (all_sms_ < 4 * GetParam()) GTEST_SKIP() << "the slice is more than a quarter of this GPU";
  const auto time_on = [&](CudaDevice& device) {
    const DeviceBuffer buffer(device, blocks() * 4);
    Launch launch = record(buffer);
    launch.kernel = device.load(ptx_kernel("record_sm", device.info().fingerprint.arch, 32));
    std::vector<double> times = device.capture(std::span(&launch, 1))->time_us(5, CacheState::warm);
    std::sort(times.begin(), times.end());
    return times[2];
  };
  const auto whole = CudaDevice::open();
  const double whole_us = time_on(*whole);
  const double slice_us = time_on(*device_);
  std::cout << whole_us << " us on " << all_sms_ << " SMs, " << slice_us << " us on " << GetParam() << "\n";
  EXPECT_GT(slice_us, 2 * whole_us);
}

INSTANTIATE_TEST_SUITE_P(Sizes, GpuSlice, testing::Values(8, 16));

TEST(GpuSliceSizes, AnImpossibleOneNamesTheGranule) {
  std::string why;
  if (!CudaDevice::available(&why)) GTEST_SKIP() << why;
  try {
    CudaDevice::open(0, 1021);
    FAIL() << "a slice of 1021 SMs";
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::missing) GTEST_SKIP() << error.what();
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("1021 SMs"), HasSubstr("in steps of")));
  }
}

}  // namespace
}  // namespace duet
