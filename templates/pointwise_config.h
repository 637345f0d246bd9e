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
  padding_mask = 10,  // minus infinity where mask[r / rows_per_mask, c] is 0
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

// Grid: x = blocks over rows * (ld / 8) vectors. x and out share the leading dimension `ld`; padding columns of `out`
// are zero.
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
