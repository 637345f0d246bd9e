// What the epilogues of a GEMM share: where C's operands stand, and how those that are vectors along n get there.
#pragma once

#include "templates/common/gemm_block.cuh"
#include "templates/common/tile.cuh"
#include "templates/common/vec.cuh"

namespace duet {

template <class Shape>
class EpilogueOperands {
 public:
  DUET_DEVICE EpilogueOperands(const GemmParams& params, const GemmPlace& place, SmemAddr smem)
      : params_(params),
        place_(place),
        bias_(smem + Shape::kConfig.bias_offset()),
        fold_sum_(smem + Shape::kConfig.fold_sum_offset()),
        c_(static_cast<u16*>(params.c) +
           batch_offset(params, place.batch, params.c_stride_outer, params.c_stride_inner)) {}

  // Start copying what is needed at the end only: a cold miss there would be waited for by a kernel that has nothing
  // else left to do. Bias and fold_sum are weights.
  DUET_DEVICE void prefetch_columns() const {
    if constexpr (Shape::kOp.bias) copy_columns(bias_, params_.bias);
    if constexpr (Shape::kOp.layer_norm) copy_columns(fold_sum_, params_.fold_sum);
  }

 protected:
  // An element of a group, v[half * 4 + side * 2 + e]: change(its index, half, side, e).
  template <class Change>
  static DUET_DEVICE void for_each_element(Change change) {
    DUET_UNROLL
    for (int e = 0; e < kVecElements; ++e) change(e, e / 4, e / 2 % 2, e % 2);
  }

  // Calls copy(residual_row), which finds a row of C in the residual: a table shared by the images of a batch has
  // fewer.
  template <class Copy>
  DUET_DEVICE void with_residual_rows(Copy copy) const {
    if (params_.residual_rows < params_.m) {
      copy([this](int row) { return row % params_.residual_rows; });
    } else {
      copy([](int row) { return row; });
    }
  }

  // Starts copying a chunk of the residual for a row and column of C: zeros beyond C.
  template <class ResidualRow>
  DUET_DEVICE void copy_residual(SmemAddr chunk, int row, int column, bool in_tile, ResidualRow residual_row) const {
    const bool valid = in_tile && row < params_.m && column < params_.n;
    const i64 element = valid ? static_cast<i64>(residual_row(row)) * params_.ld_residual + column : 0;
    cp_async<kChunkBytes>(chunk, static_cast<const u16*>(params_.residual) + element, valid);
  }
  // Stores a chunk of C, unless it lies beyond.
  DUET_DEVICE void store(Vec16 chunk, int row, int column, bool in_tile) const {
    const bool valid = in_tile && row < params_.m && column < params_.n;
    st_global_vec16_if(valid, c_ + static_cast<i64>(row) * params_.ldc + column, chunk);
  }

  const GemmParams& params_;
  const GemmPlace& place_;
  SmemAddr bias_, fold_sum_;
  u16* c_;  // of the product

 private:
  // fp32 vectors of n elements have no padding, so they are copied 4 bytes a thread.
  DUET_DEVICE void copy_columns(SmemAddr dst, const float* src) const {
    for (int i = thread_index(); i < Shape::kBlockN; i += Shape::kThreads) {
      const bool valid = place_.column0 + i < params_.n;
      cp_async<4>(dst + static_cast<u32>(i * 4), src + (valid ? place_.column0 + i : 0), valid);
    }
  }
};

}  // namespace duet
