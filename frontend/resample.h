// Antialiased resizing of 8-bit RGB, equal to Pillow's `Image.resize` to the bit: a separable convolution whose support
// grows with the downscale factor, weights normalised in double and rounded to 22-bit fixed point, first along rows
// into 8-bit pixels, then along columns.
#pragma once

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

// The part of the image resized to (x.size, y.size): only it is computed, so that a crop of a huge result is cheap.
// Throws Error(input) when a size or a part is empty or does not fit.
RgbImage resample(const RgbImage& image, const AxisPart& x, const AxisPart& y, ResampleFilter filter);

}  // namespace duet
