#include "runtime/tensor_layout.h"

#include <cstring>

#include "base/error.h"

namespace duet {
namespace {

// A matrix of padded rows, in bytes.
struct Rows {
  std::size_t count = 0;
  std::size_t dense_bytes = 0;
  std::size_t padded_bytes = 0;
};

Rows rows_of(const PlanTensor& tensor) {
  const std::int64_t columns = tensor.shape.empty() ? 1 : tensor.shape.back();
  const auto element = static_cast<std::size_t>(dtype_bytes(tensor.dtype));
  Rows rows;
  rows.count = columns == 0 ? 0 : static_cast<std::size_t>(element_count(tensor.shape) / columns);
  rows.dense_bytes = static_cast<std::size_t>(columns) * element;
  rows.padded_bytes = static_cast<std::size_t>(tensor.ld) * element;
  return rows;
}

// "[1, 4]": the position of the n-th element.
std::string position_text(const Shape& shape, std::int64_t index) {
  std::string text;
  for (auto extent = shape.rbegin(); extent != shape.rend(); ++extent) {
    text.insert(0, std::to_string(index % *extent) + (text.empty() ? "" : ", "));
    index /= *extent;
  }
  return "[" + text + "]";
}

void check_values(const PlanTensor& input, const HostTensor& tensor) {
  if (input.dtype != Dtype::i32 || input.value_limit <= 0) return;
  const std::span<const std::int32_t> values = tensor.ints();
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] >= 0 && values[i] < input.value_limit) continue;
    fail(ErrorKind::input, "input '{}': value {} at {} is outside [0, {})", input.name, values[i],
         position_text(tensor.shape, static_cast<std::int64_t>(i)), input.value_limit);
  }
}

void check_type(const PlanTensor& input, const HostTensor& tensor) {
  if (tensor.shape != input.shape) {
    fail(ErrorKind::input, "input '{}' has shape {}, the plan takes {}", input.name, shape_text(tensor.shape),
         shape_text(input.shape));
  }
  if ((tensor.dtype == Dtype::i32) != (input.dtype == Dtype::i32)) {
    fail(ErrorKind::input, "input '{}' holds {}, the plan takes {}", input.name, dtype_name(tensor.dtype),
         input.dtype == Dtype::i32 ? "i32" : "f32, f16 or bf16");
  }
  const auto expected = static_cast<std::size_t>(element_count(tensor.shape) * dtype_bytes(tensor.dtype));
  if (tensor.bytes.size() != expected) {
    fail(ErrorKind::input, "input '{}' holds {} bytes, its shape {} of {} needs {}", input.name, tensor.bytes.size(),
         shape_text(tensor.shape), dtype_name(tensor.dtype), expected);
  }
}

void copy_rows(std::byte* destination, std::size_t destination_step, const std::byte* source, std::size_t source_step,
               const Rows& rows) {
  if (rows.dense_bytes == 0) return;
  for (std::size_t row = 0; row < rows.count; ++row) {
    std::memcpy(destination + row * destination_step, source + row * source_step, rows.dense_bytes);
  }
}

}  // namespace

std::vector<std::byte> pack_input(const PlanTensor& input, const HostTensor& tensor) {
  check_type(input, tensor);
  check_values(input, tensor);
  HostTensor converted;
  const bool same_dtype = tensor.dtype == input.dtype;
  if (!same_dtype) converted = convert(tensor, input.dtype);
  const HostTensor& dense = same_dtype ? tensor : converted;
  const Rows rows = rows_of(input);
  std::vector<std::byte> bytes(rows.count * rows.padded_bytes);
  copy_rows(bytes.data(), rows.padded_bytes, dense.bytes.data(), rows.dense_bytes, rows);
  return bytes;
}

HostTensor unpack_output(const PlanTensor& output, std::span<const std::byte> bytes) {
  const Rows rows = rows_of(output);
  if (bytes.size() != rows.count * rows.padded_bytes) {
    fail(ErrorKind::internal, "output '{}' came as {} bytes instead of {}", output.name, bytes.size(),
         rows.count * rows.padded_bytes);
  }
  HostTensor tensor = HostTensor::zeros(output.dtype, output.shape);
  copy_rows(tensor.bytes.data(), rows.dense_bytes, bytes.data(), rows.padded_bytes, rows);
  return tensor;
}

}  // namespace duet
