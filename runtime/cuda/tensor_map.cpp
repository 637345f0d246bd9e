#include "runtime/cuda/tensor_map.h"

#include <cstring>

#include "base/error.h"

namespace duet {

std::array<std::byte, kTensorMapBytes> encode_tensor_map(const CudaDriver& driver, const TensorMapSpec& spec,
                                                         DeviceAddress address) {
  if (driver.cuTensorMapEncodeTiled == nullptr)
    fail(ErrorKind::missing, "tensor maps need a driver of CUDA 12.0 or newer; tune with loader: [1] in the space");
  CUtensorMap map{};
  static_assert(sizeof map == kTensorMapBytes);
  const cuuint64_t extents[] = {static_cast<cuuint64_t>(spec.columns), static_cast<cuuint64_t>(spec.rows)};
  const cuuint64_t strides[] = {static_cast<cuuint64_t>(spec.ld) * 2};
  const cuuint32_t box[] = {64, static_cast<cuuint32_t>(spec.box_rows)};
  const cuuint32_t steps[] = {1, 1};
  // 16-bit integers: bits are moved, whatever they mean, and what lies outside is zero.
  DUET_CUDA_CHECK(
      driver, cuTensorMapEncodeTiled(&map, CU_TENSOR_MAP_DATA_TYPE_UINT16, 2, reinterpret_cast<void*>(address), extents,
                                     strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                     CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
  std::array<std::byte, kTensorMapBytes> bytes;
  std::memcpy(bytes.data(), &map, sizeof map);
  return bytes;
}

}  // namespace duet
