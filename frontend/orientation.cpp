#include "frontend/orientation.h"

#include <cstring>
#include <utility>

namespace duet {
namespace {

constexpr std::string_view kExifPrefix("Exif\0\0", 6);
constexpr std::uint32_t kOrientationTag = 274;
constexpr std::size_t kEntryBytes = 12;

// Integers of a TIFF structure in its own byte order; reading past the end gives nothing.
class TiffReader {
 public:
  TiffReader(std::span<const std::byte> data, bool big_endian) : data_(data), big_endian_(big_endian) {}

  std::optional<std::uint32_t> read(std::size_t offset, std::size_t bytes) const {
    if (offset > data_.size() || data_.size() - offset < bytes) return std::nullopt;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) {
      const std::size_t at = big_endian_ ? i : bytes - 1 - i;
      value = value << 8 | std::to_integer<std::uint32_t>(data_[offset + at]);
    }
    return value;
  }

 private:
  std::span<const std::byte> data_;
  bool big_endian_;
};

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::optional<TiffReader> open_tiff(std::span<const std::byte> exif) {
  for (int repeat = 0; repeat < 2 && as_text(exif).starts_with(kExifPrefix); ++repeat) {
    exif = exif.subspan(kExifPrefix.size());
  }
  const std::string_view order = as_text(exif).substr(0, 2);
  if (order != "II" && order != "MM") return std::nullopt;
  return TiffReader(exif, order == "MM");
}

// SHORT or LONG, signed or not, with one value; else 0, which is present and none of the eight.
int entry_value(const TiffReader& tiff, std::size_t entry) {
  const auto type = tiff.read(entry + 2, 2), count = tiff.read(entry + 4, 4);
  const bool is_short = type == 3U || type == 8U, is_long = type == 4U || type == 9U;
  if (count != 1U || (!is_short && !is_long)) return 0;
  const auto value = tiff.read(entry + 8, is_short ? 2 : 4);
  return value && *value <= 8 ? static_cast<int>(*value) : 0;
}

// Where the pixel that belongs at (x, y) of the upright image lies in the stored one.
std::pair<std::int64_t, std::int64_t> stored_position(int orientation, std::int64_t x, std::int64_t y,
                                                      const RgbImage& stored) {
  const std::int64_t right = stored.width - 1, bottom = stored.height - 1;
  switch (orientation) {
    case 2:
      return {right - x, y};
    case 3:
      return {right - x, bottom - y};
    case 4:
      return {x, bottom - y};
    case 5:
      return {y, x};
    case 6:
      return {y, bottom - x};
    case 7:
      return {right - y, bottom - x};
    default:
      return {right - y, x};
  }
}

}  // namespace

std::optional<int> exif_orientation(std::span<const std::byte> exif) {
  const auto tiff = open_tiff(exif);
  if (!tiff) return std::nullopt;
  const auto directory = tiff->read(4, 4);
  if (!directory) return std::nullopt;
  const auto entries = tiff->read(*directory, 2);
  std::optional<int> orientation;
  for (std::size_t i = 0; entries && i < *entries; ++i) {
    const std::size_t entry = std::size_t{*directory} + 2 + i * kEntryBytes;
    const auto tag = tiff->read(entry, 2);
    if (!tag) break;
    if (*tag == kOrientationTag) orientation = entry_value(*tiff, entry);  // the last one counts
  }
  return orientation;
}

std::optional<int> xmp_orientation(std::string_view xmp) {
  constexpr std::string_view kName = "tiff:Orientation";
  for (std::size_t at = xmp.find(kName); at != std::string_view::npos; at = xmp.find(kName, at + 1)) {
    std::string_view rest = xmp.substr(at + kName.size());
    if (rest.starts_with("=\"")) {
      rest.remove_prefix(2);
    } else if (rest.starts_with('>')) {
      rest.remove_prefix(1);
    } else {
      continue;
    }
    if (!rest.empty() && rest[0] >= '0' && rest[0] <= '9') return rest[0] - '0';
  }
  return std::nullopt;
}

int choose_orientation(std::span<const std::byte> exif, std::string_view xmp) {
  if (const auto orientation = exif_orientation(exif)) return *orientation;
  return xmp_orientation(xmp).value_or(kUpright);
}

RgbImage turn_upright(RgbImage stored, int orientation) {
  if (orientation < 2 || orientation > 8) return stored;
  RgbImage upright{stored.width, stored.height, std::vector<std::uint8_t>(stored.pixels.size())};
  if (orientation >= 5) std::swap(upright.width, upright.height);
  std::uint8_t* out = upright.pixels.data();
  for (std::int64_t y = 0; y < upright.height; ++y) {
    for (std::int64_t x = 0; x < upright.width; ++x, out += 3) {
      const auto [from_x, from_y] = stored_position(orientation, x, y, stored);
      std::memcpy(out, stored.pixels.data() + (from_y * stored.width + from_x) * 3, 3);
    }
  }
  return upright;
}

}  // namespace duet
