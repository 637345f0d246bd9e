#include "base/convert.h"

#include <Eigen/Core>
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/tensor.h"

namespace duet {
namespace {

constexpr std::size_t kBlockElements = 4096;  // the f32 intermediate stays in the first-level cache

template <typename Half>
float widen(std::uint16_t bits) {
  return static_cast<float>(Eigen::numext::bit_cast<Half>(bits));
}

template <typename Half>
std::uint16_t narrow(float value) {
  return Eigen::numext::bit_cast<std::uint16_t>(Half(value));
}

// memcpy per element compiles to a plain load or store, and allows any alignment.
template <typename Half>
void widen_all(std::span<const std::byte> source, std::span<float> destination) {
  for (std::size_t i = 0; i < destination.size(); ++i) {
    std::uint16_t bits;
    std::memcpy(&bits, source.data() + 2 * i, sizeof bits);
    destination[i] = widen<Half>(bits);
  }
}

template <typename Half>
void narrow_all(std::span<const float> source, std::span<std::byte> destination) {
  for (std::size_t i = 0; i < source.size(); ++i) {
    const std::uint16_t bits = narrow<Half>(source[i]);
    std::memcpy(destination.data() + 2 * i, &bits, sizeof bits);
  }
}

void require_floating(Dtype dtype, std::size_t elements, std::size_t bytes) {
  if (dtype == Dtype::i32) fail(ErrorKind::internal, "i32 elements have no conversion to or from f32");
  if (bytes != elements * static_cast<std::size_t>(dtype_bytes(dtype)))
    fail(ErrorKind::internal, "{} elements of {} do not have {} bytes", elements, dtype_name(dtype), bytes);
}

}  // namespace

void to_floats(Dtype dtype, std::span<const std::byte> source, std::span<float> destination) {
  require_floating(dtype, destination.size(), source.size());
  if (destination.empty()) return;
  switch (dtype) {
    case Dtype::f16:
      return widen_all<Eigen::half>(source, destination);
    case Dtype::bf16:
      return widen_all<Eigen::bfloat16>(source, destination);
    default:
      std::memcpy(destination.data(), source.data(), source.size());
  }
}

void from_floats(Dtype dtype, std::span<const float> source, std::span<std::byte> destination) {
  require_floating(dtype, source.size(), destination.size());
  if (source.empty()) return;
  switch (dtype) {
    case Dtype::f16:
      return narrow_all<Eigen::half>(source, destination);
    case Dtype::bf16:
      return narrow_all<Eigen::bfloat16>(source, destination);
    default:
      std::memcpy(destination.data(), source.data(), destination.size());
  }
}

HostTensor convert(const HostTensor& tensor, Dtype dtype) {
  if (tensor.dtype == dtype) return tensor;
  if (tensor.dtype == Dtype::i32 || dtype == Dtype::i32)
    fail(ErrorKind::input, "a tensor of {} cannot be converted to {}", dtype_name(tensor.dtype), dtype_name(dtype));
  HostTensor result = HostTensor::zeros(dtype, tensor.shape);
  const auto count = static_cast<std::size_t>(tensor.size());
  const auto source_bytes = static_cast<std::size_t>(dtype_bytes(tensor.dtype));
  const auto result_bytes = static_cast<std::size_t>(dtype_bytes(dtype));
  std::vector<float> block(std::min(count, kBlockElements));
  for (std::size_t begin = 0; begin < count; begin += kBlockElements) {
    const std::size_t elements = std::min(kBlockElements, count - begin);
    const std::span<float> values = std::span(block).first(elements);
    to_floats(tensor.dtype, std::span(tensor.bytes).subspan(begin * source_bytes, elements * source_bytes), values);
    from_floats(dtype, values, std::span(result.bytes).subspan(begin * result_bytes, elements * result_bytes));
  }
  return result;
}

float half_to_float(Dtype dtype, std::uint16_t bits) {
  return dtype == Dtype::bf16 ? widen<Eigen::bfloat16>(bits) : widen<Eigen::half>(bits);
}

std::uint16_t float_to_half(Dtype dtype, float value) {
  return dtype == Dtype::bf16 ? narrow<Eigen::bfloat16>(value) : narrow<Eigen::half>(value);
}

}  // namespace duet
