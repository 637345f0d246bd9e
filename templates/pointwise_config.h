// The pointwise family: a chain of unary and binary operations on each element of a matrix, in fp32 registers.
#pragma once

#include "templates/device/types.h"

namespace duet {

enum class PointwiseStep : int {
  end = 0,
  add_matrix = 1,  // + operand[r, c]
  add_row = 2,     // + operand[c], fp32 (bias)
  add_table = 3,   // + operand[r mod table_rows, c] (position embedding)
  scale = 4,       // * scalar
  gelu = 5,
  gelu_tanh = 6,
  quick_gelu = 7,
  silu = 8,
  causal_mask = 9,    // minus infinity where c > r mod mask_queries
  padding_mask = 10,  // minus infinity where mask[r / rows_per_mask, c] is 0; i32, leading dimension ld_operand
};

struct PointwiseOp {
  static constexpr int kMaxSteps = 4;
  Dtype dtype = Dtype::f16;
  PointwiseStep steps[kMaxSteps] = {};  // up to the first `end`
};

struct PointwiseTile {
  int threads = 256;
  int vectors_per_thread = 1;  // 8 elements each
};

struct PointwiseConfig {
  PointwiseOp op;
  PointwiseTile tile;

  constexpr int threads() const { return tile.threads; }
  constexpr int smem_bytes() const { return 0; }
};

// Why a configuration cannot be built, or nullptr.
constexpr const char* pointwise_infeasible(const PointwiseConfig& config) {
  const PointwiseTile& tile = config.tile;
  if (config.op.dtype != Dtype::f16 && config.op.dtype != Dtype::bf16) return "elements must be f16 or bf16";
  if (tile.threads < 32 || tile.threads > 1024 || tile.threads % 32 != 0) return "threads must be whole warps, to 1024";
  if (tile.vectors_per_thread < 1 || tile.vectors_per_thread > 8) return "vectors_per_thread must be 1 to 8";
  return nullptr;
}

// x = blocks over rows * (ld / 8) vectors.
constexpr Grid3 pointwise_grid(const PointwiseConfig& config, int rows, int ld) {
  const i64 vectors = static_cast<i64>(rows) * (ld / 8);
  const i64 per_block = static_cast<i64>(config.tile.threads) * config.tile.vectors_per_thread;
  return Grid3{static_cast<int>((vectors + per_block - 1) / per_block), 1, 1};
}

// x and out share the leading dimension `ld`; padding columns of `out` are written as zero. `out` must not overlap an
// input. Fewer than 2^31 vectors of 8 elements.
struct PointwiseParams {
  const void* x;
  void* out;
  const void* operand[PointwiseOp::kMaxSteps];  // by step
  int ld_operand[PointwiseOp::kMaxSteps];
  float scalar[PointwiseOp::kMaxSteps];
  int rows, columns, ld;
  int table_rows, mask_queries, rows_per_mask;
};

}  // namespace duet
