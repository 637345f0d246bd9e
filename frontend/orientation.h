// How a camera was held: the orientation tag of EXIF (TIFF tag 274) and of XMP, read as Pillow reads it, and the flip
// or rotation it asks for.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "frontend/image.h"

namespace duet {

inline constexpr int kUpright = 1;

// `exif` is a TIFF structure, with or without the "Exif\0\0" of a JPEG segment. Nothing when the tag is absent or the
// data malformed: a photo is not refused for its metadata.
std::optional<int> exif_orientation(std::span<const std::byte> exif);
// The first `tiff:Orientation`, as an attribute or an element.
std::optional<int> xmp_orientation(std::string_view xmp);
// EXIF goes before XMP, as in Pillow.
int choose_orientation(std::span<const std::byte> exif, std::string_view xmp);
// Orientations 2 to 8 flip or rotate; any other value leaves the image as it is.
RgbImage turn_upright(RgbImage image, int orientation);

}  // namespace duet
