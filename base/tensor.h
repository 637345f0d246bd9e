// A dense row-major tensor in host memory, and conversions between element types.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "templates/device/types.h"

namespace duet {

using Shape = std::vector<std::int64_t>;

std::string_view dtype_name(Dtype dtype);        // "f32", "f16", "bf16", "i32"
Dtype parse_dtype(std::string_view name);        // throws Error(input) on an unknown name
std::string shape_text(const Shape& shape);      // "(2, 50, 768)"
std::int64_t element_count(const Shape& shape);  // 1 for a scalar; throws Error(input) on overflow or a negative extent

struct HostTensor {
  Dtype dtype = Dtype::f32;
  Shape shape{};
  std::vector<std::byte> bytes{};  // element_count(shape) * dtype_bytes(dtype)

  static HostTensor zeros(Dtype dtype, Shape shape);
  static HostTensor from_floats(Shape shape, std::span<const float> values);
  static HostTensor from_ints(Shape shape, std::span<const std::int32_t> values);

  std::int64_t size() const { return element_count(shape); }
  // Typed views; throw Error(internal) when the dtype is another.
  std::span<float> floats();
  std::span<const float> floats() const;
  std::span<std::int32_t> ints();
  std::span<const std::int32_t> ints() const;
  std::span<std::uint16_t> halves();  // f16 or bf16 bits
  std::span<const std::uint16_t> halves() const;

  bool operator==(const HostTensor&) const = default;
};

// Round-to-nearest-even conversion among f32, f16 and bf16; i32 converts only to itself (Error(input) otherwise).
HostTensor convert(const HostTensor& tensor, Dtype dtype);
float half_to_float(Dtype dtype, std::uint16_t bits);  // f16 or bf16
std::uint16_t float_to_half(Dtype dtype, float value);

}  // namespace duet
