// A chain of unary and binary operations on each element of a matrix: see pointwise_config.h.
//
// A thread takes `vectors_per_thread` vectors of 8 elements, `threads` vectors apart, so that each access of a warp
// covers 512 contiguous bytes. The steps are unrolled at compile time; an intermediate value never leaves registers.
#pragma once

#include "templates/common/grid_block.cuh"
#include "templates/common/math.cuh"
#include "templates/common/vec.cuh"
#include "templates/pointwise_config.h"

namespace duet {

template <Activation kAct>
DUET_DEVICE Float8 activate8(Float8 x) {
  DUET_UNROLL
  for (int i = 0; i < kVecElements; ++i) x.v[i] = activate<kAct>(x.v[i]);
  return x;
}

// Exactly what a softmax must not see: the value before masking does not matter, not even NaN.
DUET_DEVICE Float8 apply_causal_mask(Float8 x, int query, int column) {
  return keep_first(x, query - column + 1, minus_infinity());
}

DUET_DEVICE Float8 apply_padding_mask(Float8 x, const void* mask, i64 offset, int valid) {
  const int* flags = static_cast<const int*>(mask) + offset;
  DUET_UNROLL
  for (int i = 0; i < kVecElements; ++i) {  // a mask row has any length and alignment
    if (i < valid && ld_global_u32(flags + i) == 0) x.v[i] = minus_infinity();
  }
  return x;
}

template <class Config, int kIndex>
DUET_DEVICE Float8 apply_step(const PointwiseParams& params, const Float8& x, int row, int column) {
  constexpr PointwiseStep kStep = Config::value.op.steps[kIndex];
  constexpr Dtype kDtype = Config::value.op.dtype;
  const void* operand = params.operand[kIndex];
  const int ld = params.ld_operand[kIndex];
  if constexpr (kStep == PointwiseStep::add_matrix) {
    return add8(x, load8<kDtype>(operand, row, ld, column));
  } else if constexpr (kStep == PointwiseStep::add_row) {
    return add8(x, load8_vector(static_cast<const float*>(operand), column, params.columns));
  } else if constexpr (kStep == PointwiseStep::add_table) {
    return add8(x, load8<kDtype>(operand, row % params.table_rows, ld, column));
  } else if constexpr (kStep == PointwiseStep::scale) {
    return scale8(x, params.scalar[kIndex]);
  } else if constexpr (kStep == PointwiseStep::gelu) {
    return activate8<Activation::gelu>(x);
  } else if constexpr (kStep == PointwiseStep::gelu_tanh) {
    return activate8<Activation::gelu_tanh>(x);
  } else if constexpr (kStep == PointwiseStep::quick_gelu) {
    return activate8<Activation::quick_gelu>(x);
  } else if constexpr (kStep == PointwiseStep::silu) {
    return activate8<Activation::silu>(x);
  } else if constexpr (kStep == PointwiseStep::causal_mask) {
    return apply_causal_mask(x, row % params.mask_queries, column);
  } else {
    static_assert(kStep == PointwiseStep::padding_mask, "unknown step");
    const i64 offset = static_cast<i64>(row / params.rows_per_mask) * ld + column;
    return apply_padding_mask(x, operand, offset, params.columns - column);
  }
}

template <class Config, int kIndex = 0>
DUET_DEVICE Float8 apply_chain(const PointwiseParams& params, const Float8& x, int row, int column) {
  if constexpr (kIndex == PointwiseOp::kMaxSteps) {
    return x;
  } else if constexpr (Config::value.op.steps[kIndex] == PointwiseStep::end) {
    return x;
  } else {
    return apply_chain<Config, kIndex + 1>(params, apply_step<Config, kIndex>(params, x, row, column), row, column);
  }
}

template <class Config>
DUET_DEVICE void pointwise(const PointwiseParams& params, const GridBlock& block = launched_block()) {
  constexpr PointwiseConfig kConfig = Config::value;
  constexpr Dtype kDtype = kConfig.op.dtype;
  static_assert(pointwise_infeasible(kConfig) == nullptr, "infeasible PointwiseConfig");
  wait_for_predecessor();
  release_successor();
  const u32 vectors_per_row = static_cast<u32>(params.ld) / kVecElements;
  const u32 vectors = static_cast<u32>(params.rows) * vectors_per_row;
  const u32 first = static_cast<u32>(block.x) * (kConfig.tile.threads * kConfig.tile.vectors_per_thread) +
                    static_cast<u32>(thread_index());
  DUET_UNROLL
  for (int i = 0; i < kConfig.tile.vectors_per_thread; ++i) {
    const u32 vector = first + static_cast<u32>(i * kConfig.tile.threads);
    if (vector >= vectors) return;
    const int row = static_cast<int>(vector / vectors_per_row);
    const int column = static_cast<int>(vector % vectors_per_row) * kVecElements;
    Float8 y = splat8(0.0f);
    if (column < params.columns) {
      y = apply_chain<Config>(params, load8<kDtype>(params.x, row, params.ld, column), row, column);
      y = keep_first(y, params.columns - column, 0.0f);
    }
    store8<kDtype>(params.out, row, params.ld, column, y);
  }
}

}  // namespace duet
