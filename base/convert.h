// Bulk conversion of elements between f32, f16 and bf16, rounding to nearest even. The bytes may lie at any alignment
// (a mapped file), and source and destination must not overlap.
#pragma once

#include <cstddef>
#include <span>

#include "templates/device/types.h"

namespace duet {

// `source` holds destination.size() elements of `dtype` (f32, f16 or bf16). Throws Error(internal) when it does not.
void to_floats(Dtype dtype, std::span<const std::byte> source, std::span<float> destination);
// `destination` holds source.size() elements of `dtype` (f32, f16 or bf16). Throws Error(internal) when it does not.
void from_floats(Dtype dtype, std::span<const float> source, std::span<std::byte> destination);

}  // namespace duet
