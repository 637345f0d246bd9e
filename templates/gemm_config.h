// The GEMM family: what is computed (GemmOp), how (GemmTile), with which operands (GemmParams).
//
//   C[m, n] = residual[m mod residual_rows, n] + act( sum_k A[m, k] B[n, k] + bias[n] )
//
// A is (m, k), B is (n, k), C is (m, n), each with its own leading dimension (elements between rows, a multiple of 8).
// Padding columns (from the logical width up to the leading dimension) are zero in every operand, and are written as
// zero.
#pragma once

#include "templates/device/types.h"

namespace duet {

// Where the rows of A come from.
enum class GemmA : int {
  rows = 0,     // a matrix in memory
  patches = 1,  // patches of an image (batch, channels, height, width): row = (image, patch), column = (channel, y, x)
};

// How B lies in memory.
enum class GemmB : int {
  n_by_k = 0,  // (n, k) row-major: weights, and the keys of attention
  k_by_n = 1,  // (k, n) row-major: the values of attention
};

struct GemmOp {
  Dtype dtype = Dtype::f16;  // of A, B, C and the residual; products accumulate in fp32
  GemmA a = GemmA::rows;
  GemmB b = GemmB::n_by_k;
  // The rows of A are layer-normalised. The scale is folded into B and the shift into bias (weight recipe
  // `fold_layer_norm`), so that C = act( rstd[m] (acc - mean[m] fold_sum[n]) + bias[n] ), mean and rstd being
  // computed from A on its way through the kernel.
  bool layer_norm = false;
  bool bias = false;
  Activation activation = Activation::none;
  bool residual = false;
  int patch_copy_bytes = 16;  // for patches: the alignment of 8-element groups in the image: 16, 8 or 4
};

struct GemmTile {
  int block_m = 64, block_n = 64, block_k = 32;  // the block's tile; block_m, block_k multiples of 16, block_n of 8
  int warps_m = 2, warps_n = 2;                  // the warps' arrangement over the tile
  int stages = 3;                                // cp.async buffers in flight
  int split_k = 1;                               // blocks that share one output tile along k
};

struct GemmConfig {
  GemmOp op;
  GemmTile tile;

  constexpr int threads() const { return tile.warps_m * tile.warps_n * 32; }
  constexpr int warp_m() const { return tile.block_m / tile.warps_m; }
  constexpr int warp_n() const { return tile.block_n / tile.warps_n; }
  constexpr int stage_bytes() const { return (tile.block_m + tile.block_n) * tile.block_k * 2; }
  // Row sums and sums of squares, one pair per (row, warp column).
  constexpr int statistics_bytes() const { return op.layer_norm ? tile.block_m * tile.warps_n * 2 * 4 : 0; }
  constexpr int smem_bytes() const { return tile.stages * stage_bytes() + statistics_bytes() + 16; }
};

// One problem: sizes and strides, known when the plan is made. Strides are in elements.
struct GemmParams {
  const void* a;
  const void* b;
  void* c;
  const float* bias;      // (n)
  const float* fold_sum;  // (n): the sums over k of the folded B
  const void* residual;   // (residual_rows, n), leading dimension ld_residual
  float* workspace;       // split-K: see gemm_workspace_bytes
  u32* counters;          // split-K: one per output tile and batch, zero before and after the launch
  int m, n, k;
  int lda, ldb, ldc, ld_residual;
  int residual_rows;
  float layer_norm_epsilon;
  // Batched products (attention without fusion): batch index z = outer * batch_inner + inner.
  int batch, batch_inner;
  i64 a_stride_outer, a_stride_inner, b_stride_outer, b_stride_inner, c_stride_outer, c_stride_inner;
  // Patches: the image is (batch, channels, image_h, image_w) without padding; k = channels * patch * patch_ld where
  // patch_ld = patch rounded up to 8 (B's columns are laid out likewise, zeros in between).
  int channels, image_h, image_w, patch;
};

constexpr int gemm_tiles(const GemmTile& tile, int m, int n) {
  return ceil_div(m, tile.block_m) * ceil_div(n, tile.block_n);
}
// fp32 partial tiles, and with layer_norm the partial row statistics (sum, sum of squares) of each row block.
constexpr i64 gemm_workspace_bytes(const GemmConfig& config, int m, int n, int batch) {
  if (config.tile.split_k == 1) return 0;
  const i64 per_tile = static_cast<i64>(config.tile.block_m) * config.tile.block_n * 4 +
                       (config.op.layer_norm ? config.tile.block_m * 2 * 4 : 0);
  return per_tile * gemm_tiles(config.tile, m, n) * config.tile.split_k * batch;
}
constexpr int gemm_counter_count(const GemmConfig& config, int m, int n, int batch) {
  return config.tile.split_k == 1 ? 0 : gemm_tiles(config.tile, m, n) * batch;
}

}  // namespace duet
