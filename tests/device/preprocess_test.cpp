// Preprocessing on a GPU: equal to the frontend's to the bit, and how long each takes. Needs NVRTC.
#include <algorithm>
#include <chrono>
#include <iostream>

#include "base/error.h"
#include "runtime/cuda/cuda_device.h"
#include "tests/support/preprocess_check.h"
#include "tuner/nvrtc_compiler.h"

namespace duet {
namespace {

using Clock = std::chrono::steady_clock;

class GpuPreprocess : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string why;
    if (!CudaDevice::available(&why)) GTEST_SKIP() << why;
    device_ = CudaDevice::open();
    compiler_ = std::make_unique<NvrtcCompiler>(device_->info().fingerprint.driver_version / 1000);
    try {
      compiler_->version();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::missing) throw;
      GTEST_SKIP() << error.what();
    }
  }
  std::unique_ptr<CudaDevice> device_;
  std::unique_ptr<NvrtcCompiler> compiler_;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.at(values.size() / 2);
}

template <typename Work>
double median_wall_us(int samples, const Work& work) {
  std::vector<double> times;
  for (int i = 0; i < samples; ++i) {
    const auto begin = Clock::now();
    work();
    times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
  }
  return median(times);
}

TEST_F(GpuPreprocess, EqualsTheProcessor) {
  std::vector<RgbImage> photos;
  for (const auto& [width, height] : {std::pair{1, 1},
                                      {1, 4000},
                                      {4000, 1},
                                      {37, 53},
                                      {224, 224},
                                      {223, 225},
                                      {640, 427},
                                      {1920, 1080},
                                      {3000, 4000}})
    photos.push_back(testing::noise_photo(width, height));
  for (const Dtype dtype : {Dtype::f32, Dtype::f16, Dtype::bf16}) {
    testing::expect_equal_preprocessing(*device_, compiler_.get(), clip_processor(224), dtype, photos);
    testing::expect_equal_preprocessing(*device_, compiler_.get(), siglip_processor(384), dtype, photos);
  }
}

// What `--preprocess` should be is read off these lines: decoding is the same for both and is left out.
TEST_F(GpuPreprocess, SaysHowLongEachTakes) {
  constexpr int kSamples = 31;
  const ProcessorConfig config = clip_processor(224);
  DevicePreprocessor preprocessor(*device_, compiler_.get(), config, Dtype::f16);
  DeviceBuffer out(*device_, 3 * 224 * 224 * 2);
  for (const auto& [width, height] : {std::pair{640, 480}, {1920, 1080}, {4000, 3000}}) {
    const RgbImage photo = testing::noise_photo(width, height);
    const double cpu_us = median_wall_us(
        kSamples, [&] { device_->write(out.address(), convert(preprocess(photo, config), Dtype::f16).bytes); });
    preprocessor.run(photo, out.address());
    const double gpu_us = median_wall_us(kSamples, [&] { preprocessor.run(photo, out.address()); });
    const double kernels_us = median(preprocessor.time_us(kSamples));
    EXPECT_GT(kernels_us, 0);
    std::cout << width << " x " << height << " to 224: cpu " << cpu_us << " us, gpu " << gpu_us
              << " us with its upload, kernels alone " << kernels_us << " us\n";
  }
}

}  // namespace
}  // namespace duet
