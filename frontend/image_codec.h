// What the two decoders share: their result before it is turned upright, and the checks of its size.
#pragma once

#include <span>
#include <string_view>

#include "frontend/image.h"
#include "frontend/orientation.h"

namespace duet {

struct DecodedImage {
  RgbImage image{};
  int orientation = kUpright;
};

// `file` starts with the format's signature. Throw Error(input).
DecodedImage decode_jpeg(std::span<const std::byte> file, std::string_view name, const ImageLimits& limits);
DecodedImage decode_png(std::span<const std::byte> file, std::string_view name, const ImageLimits& limits);
// Throws Error(input) when there is no pixel or more than the limit.
void check_image_size(std::int64_t width, std::int64_t height, std::string_view name, const ImageLimits& limits);

}  // namespace duet
