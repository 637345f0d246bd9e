// Preprocessing on a device against the frontend's, the same for the emulator and a GPU.
#pragma once

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "base/tensor.h"
#include "cli/device_preprocess.h"

namespace duet::testing {

inline RgbImage noise_photo(std::int64_t width, std::int64_t height) {
  std::mt19937 engine(static_cast<std::uint32_t>(width * 10007 + height));
  RgbImage photo{width, height, std::vector<std::uint8_t>(static_cast<std::size_t>(width * height * 3))};
  for (std::uint8_t& value : photo.pixels) value = static_cast<std::uint8_t>(engine() >> 24);
  return photo;
}

// Every photograph twice, into the second and the first half of a buffer, which must then hold the processor's tensor
// to the bit.
inline void expect_equal_preprocessing(Device& device, KernelCompiler* compiler, const ProcessorConfig& config,
                                       Dtype dtype, const std::vector<RgbImage>& photos) {
  DevicePreprocessor preprocessor(device, compiler, config, dtype);
  for (const RgbImage& photo : photos) {
    SCOPED_TRACE(::testing::Message() << photo.width << " x " << photo.height << ", " << dtype_name(dtype));
    const std::vector<std::byte> expected = convert(preprocess(photo, config), dtype).bytes;
    const ImageSize size = preprocessor.result_size({photo.width, photo.height});
    ASSERT_EQ(expected.size(), static_cast<std::size_t>(size.width * size.height * 3 * dtype_bytes(dtype)));
    DeviceBuffer out(device, 2 * expected.size());
    device.fill(out.address(), std::byte{0xff}, out.bytes());
    preprocessor.run(photo, out.address() + expected.size());
    preprocessor.run(photo, out.address());
    std::vector<std::byte> got(out.bytes());
    device.read(got, out.address());
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), got.begin()));
    EXPECT_TRUE(
        std::equal(expected.begin(), expected.end(), got.begin() + static_cast<std::ptrdiff_t>(expected.size())));
  }
}

}  // namespace duet::testing
