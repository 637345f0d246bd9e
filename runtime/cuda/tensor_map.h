// The driver's descriptions of matrices for the tensor memory accelerator.
#pragma once

#include <array>
#include <cstddef>

#include "runtime/cuda/driver.h"
#include "runtime/device.h"

namespace duet {

// Boxes of (spec.box_rows, 64) elements of 16 bits, permuted by 128 bytes: as tile_offset<8> of templates/ has it.
// Throws Error(missing) when the driver cannot, Error(device) when it refuses.
std::array<std::byte, kTensorMapBytes> encode_tensor_map(const CudaDriver& driver, const TensorMapSpec& spec,
                                                         DeviceAddress address);

}  // namespace duet
