// Where weights come from: a checkpoint on disk, or generated values in tests and tuning runs.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "base/tensor.h"

namespace duet {

// A tensor that lies in somebody else's memory (a mapped file). Rows may be read at any alignment.
struct TensorView {
  Dtype dtype = Dtype::f32;
  Shape shape{};
  std::span<const std::byte> bytes{};
};

class WeightProvider {
 public:
  virtual ~WeightProvider() = default;
  // Throws Error(input) naming the tensor (and the file) when it is not there.
  virtual TensorView tensor(std::string_view name) const = 0;
};

}  // namespace duet
