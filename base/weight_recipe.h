// How a kernel's operand is made from a checkpoint's tensors, once, when weights are loaded. A recipe is part of a
// plan: codegen writes it, the runtime carries it out, and neither needs the other.
#pragma once

#include <string>
#include <vector>

#include "base/tensor.h"

namespace duet {

// Rows [row_begin, row_end) of a checkpoint tensor seen as (shape[0], product of the rest). Sources are f32, f16 or
// bf16.
struct WeightSource {
  std::string tensor{};  // name in the checkpoint
  Shape shape{};         // the whole tensor's expected shape
  std::int64_t row_begin = 0;
  std::int64_t row_end = 0;  // exclusive; shape[0] for the whole tensor (1 for a scalar)

  bool operator==(const WeightSource&) const = default;
};

enum class RecipeKind : int {
  matrix = 0,         // sources stacked along rows -> (rows, columns), rounded to dtype
  vector = 1,         // sources concatenated -> (rows), f32
  patches = 2,        // (d, channels, patch, patch) -> (d, channels * patch * round_up(patch, 8)), zeros in the padding
  folded_matrix = 3,  // matrix with column k multiplied by gamma[k] before rounding
  folded_sum = 4,     // (rows) f32: the sums over k of the folded matrix as rounded to `fold_dtype`
  folded_bias = 5,    // (rows) f32: bias[n] + sum over k of beta[k] matrix[n, k], in double, unrounded weights
  exp_scalar = 6,     // one f32: exp(source)
};
// In `vector`, a missing source list is not allowed; in `folded_bias`, an empty `bias` means zeros. In both, a source
// with an empty tensor name stands for zeros of its shape (a part of packed projections that has no bias).

struct WeightRecipe {
  std::string name{};  // for people: "text.layers.0.qkv.weight"
  RecipeKind kind = RecipeKind::matrix;
  std::vector<WeightSource> sources{};
  std::vector<WeightSource> bias{};  // folded_bias; a source with an empty tensor name stands for zeros of its shape
  WeightSource gamma{}, beta{};      // folded_*; empty tensor name when unused
  Dtype dtype = Dtype::f16;          // of the result
  Dtype fold_dtype = Dtype::f16;     // folded_sum: the dtype of the folded matrix
  std::int64_t rows = 0;             // of the result (elements for vectors and scalars)
  std::int64_t columns = 1;          // logical
  std::int64_t ld = 1;               // elements between rows; padding columns are zero

  std::int64_t result_bytes() const { return rows * ld * dtype_bytes(dtype); }
  bool operator==(const WeightRecipe&) const = default;
};

}  // namespace duet
