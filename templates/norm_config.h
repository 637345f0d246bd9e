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
  int cached_vectors = 4;  // 8 elements each that a lane keeps in registers; the rest of a row is read on each pass
};

struct NormConfig {
  NormOp op;
  NormTile tile;

  constexpr int threads() const { return tile.warps_per_row * tile.rows_per_block * 32; }
  constexpr int smem_bytes() const { return tile.rows_per_block * tile.warps_per_row * 2 * 4 + 16; }
};

// Why a configuration cannot be built, or nullptr.
constexpr const char* norm_infeasible(const NormConfig& config) {
  const NormTile& tile = config.tile;
  if (config.op.dtype == Dtype::i32 || config.op.out_dtype == Dtype::i32) return "elements must be floating point";
  if (tile.warps_per_row < 1 || tile.rows_per_block < 1) return "warps_per_row and rows_per_block must be at least 1";
  if (tile.warps_per_row > 32 || tile.rows_per_block > 32 || config.threads() > 1024) return "more than 1024 threads";
  if (tile.warps_per_row > 1 && tile.rows_per_block > 15) return "more than 15 named barriers";
  if (tile.cached_vectors < 0 || tile.cached_vectors > 8) return "cached_vectors must be 0 to 8";
  // A quarter of the register file for the row: more spills somewhere from sm_80 to sm_110.
  if (tile.cached_vectors * config.threads() > 2048) return "cached vectors need more registers than a block has";
  return nullptr;
}

constexpr Grid3 norm_grid(const NormConfig& config, int rows) {
  return Grid3{ceil_div(rows, config.tile.rows_per_block), 1, 1};
}

// Leading dimensions in elements; padding columns of `out` (up to ldo) and of `sum` (up to lds) are written as zero.
// Outputs must not overlap inputs. At least one column.
struct NormParams {
  const void* x;         // (rows, columns)
  const void* residual;  // (rows, columns), same type as x
  const float* gamma;    // (columns): layer_norm only
  const float* beta;     // (columns): layer_norm only
  void* out;             // (rows, columns)
  void* sum;             // (rows, columns), same type as x: with residual only
  int rows, columns;
  int ldx, ldr, ldo, lds;
  float epsilon;
};

}  // namespace duet
