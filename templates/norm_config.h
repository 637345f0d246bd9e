// The row family: one result row from one input row, by reductions over the row.
#pragma once

#include "templates/device/types.h"

namespace duet {

enum class RowFunction : int {
  layer_norm = 0,    // (x - mean) / sqrt(var + epsilon) * gamma + beta
  l2_normalize = 1,  // x / sqrt(sum x^2)
  softmax = 2,
};

struct NormOp {
  Dtype dtype = Dtype::f16;      // of the input
  Dtype out_dtype = Dtype::f16;  // f32 for embeddings that leave the model
  RowFunction function = RowFunction::layer_norm;
  bool residual = false;  // the row is x + residual, and the sum is written to `sum` as well
};

struct NormTile {
  int warps_per_row = 1;
  int rows_per_block = 4;
};

struct NormConfig {
  NormOp op;
  NormTile tile;

  constexpr int threads() const { return tile.warps_per_row * tile.rows_per_block * 32; }
  constexpr int smem_bytes() const { return tile.rows_per_block * tile.warps_per_row * 2 * 4 + 16; }
};

// Grid: x = row blocks. Leading dimensions in elements; padding columns of `out` (up to ldo) and of `sum` are written
// as zero.
struct NormParams {
  const void* x;
  const void* residual;
  const float* gamma;  // (columns)
  const float* beta;   // (columns)
  void* out;
  void* sum;
  int rows, columns;
  int ldx, ldr, ldo, lds;
  float epsilon;
};

}  // namespace duet
