// What a weight recipe makes of a checkpoint.
#pragma once

#include <cstddef>
#include <vector>

#include "base/weight_provider.h"
#include "base/weight_recipe.h"

namespace duet {

// Checks what a recipe says of its own result: extents, padding, type. Throws Error(input) naming the weight.
void check_recipe(const WeightRecipe& recipe);
// Carries a recipe out: result_bytes() bytes. Throws Error(input) naming the tensor when a shape or dtype does not fit.
std::vector<std::byte> make_weight(const WeightRecipe& recipe, const WeightProvider& weights);

}  // namespace duet
