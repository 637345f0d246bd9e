#include "base/tensor.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "base/error.h"

namespace duet {
namespace {

// Leaves room for every element size, so that byte counts of an accepted shape never overflow.
constexpr std::int64_t kMaxElements = std::numeric_limits<std::int64_t>::max() / 16;

void require_dtype(const HostTensor& tensor, bool fits, std::string_view wanted) {
  if (!fits)
    fail(ErrorKind::internal, "a {} tensor of shape {} is read as {}", dtype_name(tensor.dtype),
         shape_text(tensor.shape), wanted);
}

template <typename Element, typename Bytes>
auto view_as(Bytes& bytes) {
  return std::span(reinterpret_cast<Element*>(bytes.data()), bytes.size() / sizeof(Element));
}

template <typename Element>
HostTensor from_values(Dtype dtype, Shape shape, std::span<const Element> values) {
  HostTensor tensor = HostTensor::zeros(dtype, std::move(shape));
  if (tensor.bytes.size() != values.size_bytes())
    fail(ErrorKind::internal, "{} values do not fill a tensor of shape {}", values.size(), shape_text(tensor.shape));
  if (!values.empty()) std::memcpy(tensor.bytes.data(), values.data(), values.size_bytes());
  return tensor;
}

}  // namespace

std::string_view dtype_name(Dtype dtype) {
  switch (dtype) {
    case Dtype::f32:
      return "f32";
    case Dtype::f16:
      return "f16";
    case Dtype::bf16:
      return "bf16";
    case Dtype::i32:
      return "i32";
  }
  return "unknown";
}

Dtype parse_dtype(std::string_view name) {
  for (const Dtype dtype : {Dtype::f32, Dtype::f16, Dtype::bf16, Dtype::i32})
    if (name == dtype_name(dtype)) return dtype;
  fail(ErrorKind::input, "unknown element type '{}': use f32, f16, bf16 or i32", name);
}

std::string shape_text(const Shape& shape) { return fmt::format("({})", fmt::join(shape, ", ")); }

std::int64_t element_count(const Shape& shape) {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) {
    if (extent < 0) fail(ErrorKind::input, "shape {}: extent {} is negative", shape_text(shape), extent);
    if (extent != 0 && count > kMaxElements / extent)
      fail(ErrorKind::input, "shape {}: more elements than can be addressed", shape_text(shape));
    count *= extent;
  }
  return count;
}

HostTensor HostTensor::zeros(Dtype dtype, Shape shape) {
  const auto bytes = static_cast<std::size_t>(element_count(shape) * dtype_bytes(dtype));
  return HostTensor{.dtype = dtype, .shape = std::move(shape), .bytes = std::vector<std::byte>(bytes)};
}

HostTensor HostTensor::from_floats(Shape shape, std::span<const float> values) {
  return from_values(Dtype::f32, std::move(shape), values);
}

HostTensor HostTensor::from_ints(Shape shape, std::span<const std::int32_t> values) {
  return from_values(Dtype::i32, std::move(shape), values);
}

std::span<float> HostTensor::floats() {
  require_dtype(*this, dtype == Dtype::f32, "f32");
  return view_as<float>(bytes);
}

std::span<const float> HostTensor::floats() const {
  require_dtype(*this, dtype == Dtype::f32, "f32");
  return view_as<const float>(bytes);
}

std::span<std::int32_t> HostTensor::ints() {
  require_dtype(*this, dtype == Dtype::i32, "i32");
  return view_as<std::int32_t>(bytes);
}

std::span<const std::int32_t> HostTensor::ints() const {
  require_dtype(*this, dtype == Dtype::i32, "i32");
  return view_as<const std::int32_t>(bytes);
}

std::span<std::uint16_t> HostTensor::halves() {
  require_dtype(*this, dtype == Dtype::f16 || dtype == Dtype::bf16, "f16 or bf16");
  return view_as<std::uint16_t>(bytes);
}

std::span<const std::uint16_t> HostTensor::halves() const {
  require_dtype(*this, dtype == Dtype::f16 || dtype == Dtype::bf16, "f16 or bf16");
  return view_as<const std::uint16_t>(bytes);
}

}  // namespace duet
