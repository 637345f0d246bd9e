// Photos to RGB pixels, bit-exact with what `load_image` of Hugging Face transformers hands to its processors: JPEG and
// PNG, turned upright by their EXIF or XMP orientation, alpha dropped, grey and palettes expanded.
//
//   RgbImage photo = read_image("photo.jpg");
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace duet {

struct RgbImage {
  std::int64_t width = 0;
  std::int64_t height = 0;
  std::vector<std::uint8_t> pixels{};  // (height, width, 3), row-major

  bool operator==(const RgbImage&) const = default;
};

// What a file may ask of this machine. Checked against its header, before pixels are allocated.
struct ImageLimits {
  std::uint64_t max_file_bytes = std::uint64_t{64} << 20;
  std::int64_t max_pixels = std::int64_t{64} << 20;
};

// `name` stands for the bytes in messages. Throws Error(input): neither JPEG nor PNG, malformed, truncated, above a
// limit, or of a kind that has no exact RGB meaning (CMYK JPEG, 16-bit grey PNG).
RgbImage decode_image(std::span<const std::byte> file, std::string_view name, const ImageLimits& limits = {});
RgbImage read_image(const std::filesystem::path& path, const ImageLimits& limits = {});

}  // namespace duet
