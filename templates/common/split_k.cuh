// Split-K: several blocks share a tile of C, each over a part of k. Every block leaves its partial sums in the
// workspace; the one that arrives last adds all of them, its own included, in the order of the splits. Which block that
// is varies from run to run, the result does not.
#pragma once

#include "templates/common/arrive.cuh"
#include "templates/common/gemm_block.cuh"
#include "templates/common/row_statistics.cuh"

namespace duet {

// Workspace: (batch, tile, split) partials of [kM * kN][threads] Vec16 accumulators, then [block_m] row sums.
// Accumulators stay in the order of the fragments: the reader of a value is the thread index that wrote it, and a
// warp's access is 512 contiguous bytes.
template <class Shape>
class SplitK {
  static constexpr i64 kPartialFloats = gemm_partial_bytes(Shape::kConfig) / 4;
  static constexpr int kAccumulatorFloats = Shape::kBlockM * Shape::kBlockN;

 public:
  DUET_DEVICE SplitK(const GemmParams& params, const GemmPlace& place, SmemAddr smem)
      : place_(place), flag_(smem + Shape::kConfig.flag_offset()) {
    const int tile = (place.batch * grid_size_y() + block_index_y()) * grid_size_x() + block_index_x();
    workspace_ = params.workspace + tile * Shape::kSplits * kPartialFloats;
    counter_ = params.counters + tile;
  }

  DUET_DEVICE void store(const float (&acc)[Shape::kM][Shape::kN][4], const RowStatistics<Shape>& statistics) const {
    float* partial = workspace_ + place_.split * kPartialFloats;
    DUET_UNROLL
    for (int i = 0; i < Shape::kM; ++i) {
      DUET_UNROLL
      for (int j = 0; j < Shape::kN; ++j) {
        st_global_vec16(partial + fragment_offset(i, j),
                        Vec16{{float_to_bits(acc[i][j][0]), float_to_bits(acc[i][j][1]), float_to_bits(acc[i][j][2]),
                               float_to_bits(acc[i][j][3])}});
      }
    }
    if constexpr (Shape::kOp.layer_norm) {
      for (int row = thread_index(); row < Shape::kBlockM; row += Shape::kThreads) {
        const RowSums sums = statistics.total(row);
        float* pair = partial + kAccumulatorFloats + row * 2;
        st_global_u32(pair, float_to_bits(sums.sum));
        st_global_u32(pair + 1, float_to_bits(sums.sum_squares));
      }
    }
  }

  // True in every thread of the block that completes the tile.
  DUET_DEVICE bool is_last() const { return arrive_last(counter_, Shape::kSplits, flag_); }

  DUET_DEVICE void sum(float (&acc)[Shape::kM][Shape::kN][4]) const {
    clear_accumulators(acc);
    DUET_NO_UNROLL
    for (int split = 0; split < Shape::kSplits; ++split) {
      const float* partial = workspace_ + split * kPartialFloats;
      DUET_UNROLL
      for (int i = 0; i < Shape::kM; ++i) {
        DUET_UNROLL
        for (int j = 0; j < Shape::kN; ++j) {
          const Vec16 part = ld_global_coherent_vec16(partial + fragment_offset(i, j));
          DUET_UNROLL
          for (int e = 0; e < 4; ++e) acc[i][j][e] += bits_to_float(part.word[e]);
        }
      }
    }
  }

  DUET_DEVICE RowSums row_sums(int row) const {
    RowSums sums{0.0f, 0.0f};
    DUET_UNROLL
    for (int split = 0; split < Shape::kSplits; ++split) {
      const float* pair = workspace_ + split * kPartialFloats + kAccumulatorFloats + row * 2;
      sums.sum += ld_global_coherent_f32(pair);
      sums.sum_squares += ld_global_coherent_f32(pair + 1);
    }
    return sums;
  }

 private:
  static DUET_DEVICE int fragment_offset(int i, int j) {
    return ((i * Shape::kN + j) * Shape::kThreads + thread_index()) * 4;
  }

  const GemmPlace& place_;
  SmemAddr flag_;
  float* workspace_;
  u32* counter_;
};

}  // namespace duet
