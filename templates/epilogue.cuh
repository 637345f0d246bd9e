// What happens to a tile of fp32 accumulators on its way to C: folded layer norm, bias, activation, residual, and one
// rounding. The tile goes through shared memory so that C is written 16 bytes a thread, whole rows at a time.
#pragma once

#include "templates/common/gemm_block.cuh"
#include "templates/common/math.cuh"
#include "templates/common/row_statistics.cuh"

namespace duet {

template <class Shape>
class GemmEpilogue {
 public:
  DUET_DEVICE GemmEpilogue(const GemmParams& params, const GemmPlace& place, SmemAddr smem)
      : params_(params),
        place_(place),
        staging_(smem + Shape::kConfig.staging_offset()),
        bias_(smem + Shape::kConfig.bias_offset()),
        fold_sum_(smem + Shape::kConfig.fold_sum_offset()) {}

  // Starts copying bias, fold_sum and the residual's tile, which are needed at the end only: a cold miss there would
  // cost about 0.7 us of a kernel of 4 us.
  DUET_DEVICE void prefetch() const {
    if constexpr (Shape::kOp.bias) prefetch_columns(bias_, params_.bias);
    if constexpr (Shape::kOp.layer_norm) prefetch_columns(fold_sum_, params_.fold_sum);
    if constexpr (Shape::kOp.residual) prefetch_residual();
  }

  // The accumulators become C's tile in shared memory.
  DUET_DEVICE void stage(const float (&acc)[Shape::kM][Shape::kN][4], const RowStatistics<Shape>& statistics) const {
    DUET_UNROLL
    for (int i = 0; i < Shape::kM; ++i) {
      DUET_UNROLL
      for (int half = 0; half < 2; ++half) {
        const int row = place_.warp_row + i * kMmaM + half * 8 + place_.lane / 4;
        RowSums norm{0.0f, 1.0f};  // (mean, rstd)
        if constexpr (Shape::kOp.layer_norm) norm = statistics.load(row);
        DUET_UNROLL
        for (int j = 0; j < Shape::kN; ++j) stage_pair(row, j, acc[i][j][half * 2], acc[i][j][half * 2 + 1], norm);
      }
    }
  }

  DUET_DEVICE void store() const {
    u16* c = static_cast<u16*>(params_.c) +
             batch_offset(params_, place_.batch, params_.c_stride_outer, params_.c_stride_inner);
    store_tile<Shape::kBlockM, Shape::kNChunks, Shape::kThreads>(staging_, c, params_.ldc, place_.row0, params_.m,
                                                                 place_.column0, params_.n);
  }

 private:
  // fp32 vectors of n elements have no padding, so they are copied 4 bytes a thread.
  DUET_DEVICE void prefetch_columns(SmemAddr dst, const float* src) const {
    for (int i = thread_index(); i < Shape::kBlockN; i += Shape::kThreads) {
      const bool valid = place_.column0 + i < params_.n;
      cp_async<4>(dst + static_cast<u32>(i * 4), src + (valid ? place_.column0 + i : 0), valid);
    }
  }

  DUET_DEVICE void prefetch_residual() const {
    using Share = TileShare<Shape::kBlockM, Shape::kNChunks, Shape::kThreads>;
    const u16* residual = static_cast<const u16*>(params_.residual);
    DUET_UNROLL
    for (int copy = 0; copy < Share::kCopies; ++copy) {
      if (Share::has(thread_index(), copy)) {
        const int row_in_tile = Share::row(thread_index(), copy);
        const int chunk = Share::chunk(thread_index(), copy);
        const int column = place_.column0 + chunk * kChunkElements;
        int row = place_.row0 + row_in_tile;
        const bool valid = row < params_.m && column < params_.n;
        if (row >= params_.residual_rows) row %= params_.residual_rows;  // a table shared by the images of a batch
        const i64 element = valid ? static_cast<i64>(row) * params_.ld_residual + column : 0;
        cp_async<kChunkBytes>(staging_ + tile_offset<Shape::kNChunks>(row_in_tile, chunk), residual + element, valid);
      }
    }
  }

  // Two neighbouring columns of one row. A warp's 32 stores are 8 rows of one chunk: no bank conflict.
  DUET_DEVICE void stage_pair(int row, int j, float x0, float x1, RowSums norm) const {
    const int column = place_.warp_column + j * kMmaN + place_.lane % 4 * 2;  // in the tile
    x0 = apply(x0, column, norm);
    x1 = apply(x1, column + 1, norm);
    const SmemAddr addr = staging_ + tile_offset<Shape::kNChunks>(row, column / kChunkElements) +
                          static_cast<u32>(column % kChunkElements * 2);
    if constexpr (Shape::kOp.residual) {
      const u32 residual = ld_shared_u32(addr);
      x0 += to_float<Shape::kDtype>(static_cast<u16>(residual));
      x1 += to_float<Shape::kDtype>(static_cast<u16>(residual >> 16));
    }
    x0 = place_.column0 + column < params_.n ? x0 : 0.0f;
    x1 = place_.column0 + column + 1 < params_.n ? x1 : 0.0f;
    st_shared_u32(addr, pack2<Shape::kDtype>(x0, x1));
  }

  DUET_DEVICE float apply(float x, int column, RowSums norm) const {
    const u32 offset = static_cast<u32>(column * 4);
    if constexpr (Shape::kOp.layer_norm) {
      x = norm.sum_squares * fused_multiply_add(-norm.sum, ld_shared_f32(fold_sum_ + offset), x);
    }
    if constexpr (Shape::kOp.bias) x += ld_shared_f32(bias_ + offset);
    return activate<Shape::kOp.activation>(x);
  }

  const GemmParams& params_;
  const GemmPlace& place_;
  SmemAddr staging_, bias_, fold_sum_;
};

}  // namespace duet
