// What happens to a chunk of fp32 sums on its way to C: folded layer norm, bias, activation, residual, and one
// rounding.
#pragma once

#include "templates/common/gemm_block.cuh"
#include "templates/common/math.cuh"
#include "templates/common/partial_tile.cuh"
#include "templates/common/row_statistics.cuh"

namespace duet {

template <class Shape>
class GemmEpilogue {
 public:
  static constexpr int kChunks = Shape::kConfig.chunks_per_thread();

  DUET_DEVICE GemmEpilogue(const GemmParams& params, const GemmPlace& place, SmemAddr smem)
      : params_(params),
        place_(place),
        residual_(smem + Shape::kConfig.residual_offset()),
        bias_(smem + Shape::kConfig.bias_offset()),
        fold_sum_(smem + Shape::kConfig.fold_sum_offset()) {}

  // Start copying what is needed at the end only: a cold miss there would be waited for by a kernel that has nothing
  // else left to do. Bias and fold_sum are weights; the residual is written by an earlier kernel.
  DUET_DEVICE void prefetch_columns() const {
    if constexpr (Shape::kOp.bias) copy_columns(bias_, params_.bias);
    if constexpr (Shape::kOp.layer_norm) copy_columns(fold_sum_, params_.fold_sum);
  }
  DUET_DEVICE void prefetch_residual() const {
    if constexpr (Shape::kOp.residual) copy_residual();
  }

  // C of the i-th chunk of this thread, which lies inside the tile, from its sums.
  DUET_DEVICE Float8 result(int i, const TileChunk& chunk, Float8 x, const RowStatistics<Shape>& statistics) const {
    if constexpr (Shape::kOp.layer_norm) {
      const RowSums norm = statistics.load(chunk.row);  // (mean, rstd)
      const Float8 fold_sum = load_columns(fold_sum_, chunk.column);
      DUET_UNROLL
      for (int e = 0; e < kVecElements; ++e)
        x.v[e] = norm.sum_squares * fused_multiply_add(-norm.sum, fold_sum.v[e], x.v[e]);
    }
    if constexpr (Shape::kOp.bias) x = add8(x, load_columns(bias_, chunk.column));
    DUET_UNROLL
    for (int e = 0; e < kVecElements; ++e) x.v[e] = activate<Shape::kOp.activation>(x.v[e]);
    if constexpr (Shape::kOp.residual) x = add8(x, unpack8<Shape::kDtype>(ld_shared_vec16(residual_chunk(i))));
    return keep_first(x, params_.n - place_.column0 - chunk.column, 0.0f);
  }

  // Writes a chunk unless it lies outside C.
  DUET_DEVICE void store(const TileChunk& chunk, const Float8& x) const {
    const int row = place_.row0 + chunk.row;
    const int column = place_.column0 + chunk.column;
    if (row >= params_.m || column >= params_.n) return;
    u16* c = static_cast<u16*>(params_.c) +
             batch_offset(params_, place_.batch, params_.c_stride_outer, params_.c_stride_inner);
    st_global_vec16(c + static_cast<i64>(row) * params_.ldc + column, pack8<Shape::kDtype>(x));
  }

 private:
  // fp32 vectors of n elements have no padding, so they are copied 4 bytes a thread.
  DUET_DEVICE void copy_columns(SmemAddr dst, const float* src) const {
    for (int i = thread_index(); i < Shape::kBlockN; i += Shape::kThreads) {
      const bool valid = place_.column0 + i < params_.n;
      cp_async<4>(dst + static_cast<u32>(i * 4), src + (valid ? place_.column0 + i : 0), valid);
    }
  }

  DUET_DEVICE SmemAddr residual_chunk(int i) const {
    return residual_ + static_cast<u32>((i * Shape::kThreads + thread_index()) * kChunkBytes);
  }

  DUET_DEVICE void copy_residual() const {
    const u16* residual = static_cast<const u16*>(params_.residual);
    DUET_UNROLL
    for (int i = 0; i < kChunks; ++i) {
      const TileChunk chunk = tile_chunk<Shape>(i);
      const int column = place_.column0 + chunk.column;
      int row = place_.row0 + chunk.row;
      const bool valid = chunk.inside && row < params_.m && column < params_.n;
      if (row >= params_.residual_rows) row %= params_.residual_rows;  // a table shared by the images of a batch
      const i64 element = valid ? static_cast<i64>(row) * params_.ld_residual + column : 0;
      cp_async<kChunkBytes>(residual_chunk(i), residual + element, valid);
    }
  }

  static DUET_DEVICE Float8 load_columns(SmemAddr vector, int column) {
    const SmemAddr at = vector + static_cast<u32>(column * 4);
    return join8(ld_shared_vec16(at), ld_shared_vec16(at + 16));
  }

  const GemmParams& params_;
  const GemmPlace& place_;
  SmemAddr residual_, bias_, fold_sum_;
};

}  // namespace duet
