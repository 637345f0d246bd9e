// NumPy .npy files (version 1 to 3, C order, little-endian f4, f2, i4, i8): tensors to and from disk.
#pragma once

#include <filesystem>

#include "base/tensor.h"

namespace duet {

// i8 becomes i32 where every value fits. Throws Error(input) naming the file and what is wrong with it.
HostTensor read_npy(const std::filesystem::path& path);
// bf16 is written as f32, which holds it exactly.
void write_npy(const std::filesystem::path& path, const HostTensor& tensor);

}  // namespace duet
