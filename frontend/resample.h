// Antialiased resizing of 8-bit RGB, equal to Pillow's `Image.resize` to the bit: a separable convolution whose support
// grows with the downscale factor, weights normalised in double and rounded to 22-bit fixed point, first along rows
// into 8-bit pixels, then along columns.
#pragma once

#include <cstdint>
#include <vector>

#include "frontend/image.h"

namespace duet {

// The numbers are Pillow's, as `resample` in preprocessor_config.json.
enum class ResampleFilter : int { bilinear = 2, bicubic = 3 };

// Pixels [begin, begin + count) of one axis that has `size` pixels.
struct AxisPart {
  std::int64_t size = 0;
  std::int64_t begin = 0;
  std::int64_t count = 0;
};

// How one axis is filtered: output i is the sum of pixels [begins[i], begins[i] + counts[i]) of that axis with the
// weights from first_weights[i] on, which are fixed point of kResampleBits fractional bits.
inline constexpr int kResampleBits = 22;
struct AxisTaps {
  std::vector<std::int32_t> begins{};
  std::vector<std::int32_t> counts{};
  std::vector<std::int32_t> first_weights{};
  std::vector<std::int32_t> weights{};

  std::int64_t size() const { return static_cast<std::int64_t>(begins.size()); }
  // The pixels that any output reads are [begin(), end()).
  std::int64_t begin() const { return begins.front(); }
  std::int64_t end() const { return std::int64_t{begins.back()} + counts.back(); }
};
struct ResampleTaps {
  AxisTaps x{};
  AxisTaps y{};
};

// How an image of `width` x `height` pixels becomes that part of the image resized to (x.size, y.size): rows first,
// those that `y` reads, then columns. An axis that keeps its size is copied. Throws Error(input) when a size or a part
// is empty or does not fit, or when the resized rows would hold more than 64 Mi pixels.
ResampleTaps resample_taps(std::int64_t width, std::int64_t height, const AxisPart& x, const AxisPart& y,
                           ResampleFilter filter);
// Only the part is computed, so that a crop of a huge result is cheap. Throws as above.
RgbImage resample(const RgbImage& image, const AxisPart& x, const AxisPart& y, ResampleFilter filter);

}  // namespace duet
