#include "frontend/image.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/file.h"
#include "frontend/image_codec.h"

namespace duet {
namespace {

bool starts_with(std::span<const std::byte> file, std::span<const std::uint8_t> signature) {
  return file.size() >= signature.size() &&
         std::equal(signature.begin(), signature.end(), file.begin(),
                    [](std::uint8_t expected, std::byte got) { return std::byte{expected} == got; });
}

constexpr std::array<std::uint8_t, 3> kJpegSignature{0xff, 0xd8, 0xff};
constexpr std::array<std::uint8_t, 8> kPngSignature{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

DecodedImage decode(std::span<const std::byte> file, std::string_view name, const ImageLimits& limits) {
  if (starts_with(file, kJpegSignature)) return decode_jpeg(file, name, limits);
  if (starts_with(file, kPngSignature)) return decode_png(file, name, limits);
  fail(ErrorKind::input, "{}: is neither a JPEG nor a PNG image; convert it to one of them", name);
}

}  // namespace

void check_image_size(std::int64_t width, std::int64_t height, std::string_view name, const ImageLimits& limits) {
  if (width < 1 || height < 1) fail(ErrorKind::input, "{}: has no pixels ({} x {})", name, width, height);
  if (width > limits.max_pixels / height) {
    fail(ErrorKind::input, "{}: {} x {} pixels, the limit is {} in all; scale it down first", name, width, height,
         limits.max_pixels);
  }
}

RgbImage decode_image(std::span<const std::byte> file, std::string_view name, const ImageLimits& limits) {
  if (file.size() > limits.max_file_bytes) {
    fail(ErrorKind::input, "{}: has {} bytes, the limit is {}", name, file.size(), limits.max_file_bytes);
  }
  DecodedImage decoded = decode(file, name, limits);
  return turn_upright(std::move(decoded.image), decoded.orientation);
}

RgbImage read_image(const std::filesystem::path& path, const ImageLimits& limits) {
  return decode_image(read_binary_file(path, limits.max_file_bytes), path.string(), limits);
}

}  // namespace duet
