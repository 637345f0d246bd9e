// JPEG and PNG photographs, decoded, turned upright and put through a processor.
#include "frontend/image.h"
#include "frontend/processor.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const duet::ImageLimits limits{.max_file_bytes = 1 << 20, .max_pixels = 1 << 16};
  duet::expect_value_or_refusal([&] {
    const duet::RgbImage image = duet::decode_image(std::as_bytes(std::span(data, size)), "fuzzed", limits);
    if (image.pixels.size() != static_cast<std::size_t>(image.width * image.height * 3)) std::abort();
    if (duet::preprocess(image, duet::clip_processor(8)).bytes.size() != 3 * 8 * 8 * sizeof(float)) std::abort();
  });
  return 0;
}
