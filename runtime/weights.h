// Where weights come from, and what a recipe makes of them.
#pragma once

#include <string_view>
#include <vector>

#include "base/tensor.h"
#include "base/weight_recipe.h"

namespace duet {

// A tensor that lies in somebody else's memory (a mapped file). Rows may be read at any alignment.
struct TensorView {
  Dtype dtype = Dtype::f32;
  Shape shape;
  std::span<const std::byte> bytes;
};

class WeightProvider {
 public:
  virtual ~WeightProvider() = default;
  // Throws Error(input) naming the tensor (and the file) when it is not there.
  virtual TensorView tensor(std::string_view name) const = 0;
};

// Carries a recipe out: result_bytes() bytes. Throws Error(input) naming the tensor when a shape or dtype does not fit.
std::vector<std::byte> make_weight(const WeightRecipe& recipe, const WeightProvider& weights);

}  // namespace duet
