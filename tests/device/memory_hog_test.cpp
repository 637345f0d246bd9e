// A hog on the SMs beside a slice: what it leaves is what was asked for, and it ends. Needs NVRTC.
#include "tuner/memory_hog.h"

#include <gtest/gtest.h>

#include <iostream>

#include "base/error.h"
#include "runtime/cuda/cuda_device.h"
#include "tests/device/ptx_kernels.h"
#include "tuner/nvrtc_compiler.h"

namespace duet {
namespace {

class MemoryHog : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string why;
    if (!CudaDevice::available(&why)) GTEST_SKIP() << why;
    try {
      const auto slice = CudaDevice::open(0, kSms);
      if (slice->info().other_sms < kSms) GTEST_SKIP() << "too few SMs beside a slice";
      compiler_ = std::make_unique<NvrtcCompiler>(slice->info().fingerprint.driver_version / 1000);
      compiler_->version();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::missing) throw;
      GTEST_SKIP() << error.what();
    }
  }
  HoggedDevice open(double gbps) { return {CudaDevice::open(0, kSms), *compiler_, gbps}; }

  static constexpr int kSms = 16;
  std::unique_ptr<NvrtcCompiler> compiler_;
};

void print(const HogFigures& hog) {
  std::cout << "asked " << hog.asked_gbps << " GB/s: alone " << hog.alone_gbps << ", left " << hog.left_gbps << ", "
            << hog.sms << " SMs, period " << hog.period_us << " us\n";
}

TEST_F(MemoryHog, LeavesAboutWhatIsAsked) {
  HogFigures most;
  {
    const HoggedDevice greedy = open(1);
    most = greedy.hog();
  }
  print(most);
  EXPECT_LT(most.left_gbps, 0.8 * most.alone_gbps);
  for (const double part : {0.25, 0.6}) {
    const double asked = most.left_gbps + part * (most.alone_gbps - most.left_gbps);
    const HoggedDevice device = open(asked);
    print(device.hog());
    EXPECT_NEAR(device.hog().left_gbps, asked, 0.1 * asked);
    EXPECT_NE(device.environment_text().find("left to the slice by a hog"), std::string::npos);
  }
}

TEST_F(MemoryHog, ComputesAsWithoutIt) {
  HoggedDevice device = open(100);
  const LoadedKernel kernel = device.load(ptx_kernel("add_value", device.info().fingerprint.arch, 256));
  const std::vector<std::uint32_t> in(1000, 5);
  DeviceBuffer source(device, in.size() * 4), result(device, in.size() * 4);
  device.write(source.address(), std::as_bytes(std::span(in)));
  struct {
    DeviceAddress out, in;
    std::uint32_t count, value;
  } const params{result.address(), source.address(), 1000, 7};
  Launch launch;
  launch.kernel = kernel;
  launch.name = "add_value";
  launch.grid = {.x = 4};
  launch.threads = 256;
  launch.params.resize(sizeof(params));
  std::memcpy(launch.params.data(), &params, sizeof(params));
  const auto executable = device.capture(std::span(&launch, 1));
  for (int i = 0; i < 3; ++i) executable->run();
  EXPECT_EQ(executable->time_us(20, CacheState::warm).size(), 20U);
  EXPECT_EQ(executable->time_us(20, CacheState::cold).size(), 20U);
  std::vector<std::uint32_t> out(1000);
  device.read(std::as_writable_bytes(std::span(out)), result.address());
  EXPECT_EQ(out, std::vector<std::uint32_t>(1000, 12));
}

}  // namespace
}  // namespace duet
