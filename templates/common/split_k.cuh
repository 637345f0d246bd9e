// Split-K: several blocks share a tile of C, each over a part of k. Every block leaves its partial sums in the
// workspace; the one that arrives last adds all of them, its own included, in the order of the splits. Which block that
// is varies from run to run, the result does not.
#pragma once

#include "templates/common/arrive.cuh"
#include "templates/common/gemm_block.cuh"
#include "templates/common/partial_tile.cuh"
#include "templates/common/row_statistics.cuh"

namespace duet {

// Workspace: (batch, tile, split) partials of [chunks_per_thread][threads] chunks of 8 floats, then [block_m] row sums.
// The reader of a chunk is the thread index that wrote it, and a warp's access is contiguous.
template <class Shape>
class SplitK {
  static constexpr i64 kPartialFloats = gemm_partial_bytes(Shape::kConfig) / 4;
  static constexpr int kChunks = Shape::kConfig.chunks_per_thread();
  static constexpr int kChunkFloats = kChunks * Shape::kThreads * kChunkElements;

 public:
  DUET_DEVICE SplitK(const GemmParams& params, const GemmPlace& place, SmemAddr smem)
      : place_(place), flag_(smem + Shape::kConfig.flag_offset()) {
    workspace_ = params.workspace + place.tile * Shape::kSplits * kPartialFloats;
    counter_ = params.counters + place.tile;
  }

  DUET_DEVICE void store(const PartialTile<Shape>& tile, const RowStatistics<Shape>& statistics) const {
    float* partial = workspace_ + place_.split * kPartialFloats;
    DUET_UNROLL
    for (int i = 0; i < kChunks; ++i) {
      const TileChunk chunk = tile_chunk<Shape>(i);
      if (!chunk.inside) continue;
      const Float8 sum = tile.load(chunk);
      st_global_vec16(partial + offset(i, 0), half8(sum, 0));
      st_global_vec16(partial + offset(i, 1), half8(sum, 4));
    }
    if constexpr (Shape::kOp.layer_norm) {
      for (int row = thread_index(); row < Shape::kBlockM; row += Shape::kThreads) {
        const RowSums sums = statistics.total(row);
        float* pair = partial + kChunkFloats + row * 2;
        st_global_u32(pair, float_to_bits(sums.sum));
        st_global_u32(pair + 1, float_to_bits(sums.sum_squares));
      }
    }
  }

  // True in every thread of the block that completes the tile.
  DUET_DEVICE bool is_last() const {
    return arrive_last(counter_, Shape::kSplits, flag_, [] { sync_math<Shape>(); });
  }

  // The i-th chunk of this thread over all splits, whose loads are all on their way before the first is waited for.
  DUET_DEVICE Float8 sum(int i) const {
    Float8 total = splat8(0.0f);
    DUET_UNROLL
    for (int first = 0; first < Shape::kSplits; first += kSplitsAtOnce) {
      Vec16 parts[kSplitsAtOnce][2];
      DUET_UNROLL
      for (int split = 0; split < kSplitsAtOnce; ++split) {
        if (first + split >= Shape::kSplits) continue;
        const float* partial = workspace_ + (first + split) * kPartialFloats;
        parts[split][0] = ld_global_coherent_vec16(partial + offset(i, 0));
        parts[split][1] = ld_global_coherent_vec16(partial + offset(i, 1));
      }
      DUET_UNROLL
      for (int split = 0; split < kSplitsAtOnce; ++split) {
        if (first + split < Shape::kSplits) total = add8(total, join8(parts[split][0], parts[split][1]));
      }
    }
    return total;
  }

  DUET_DEVICE RowSums row_sums(int row) const {
    RowSums sums{0.0f, 0.0f};
    DUET_UNROLL
    for (int split = 0; split < Shape::kSplits; ++split) {
      const float* pair = workspace_ + split * kPartialFloats + kChunkFloats + row * 2;
      sums.sum += ld_global_coherent_f32(pair);
      sums.sum_squares += ld_global_coherent_f32(pair + 1);
    }
    return sums;
  }

 private:
  static constexpr int kSplitsAtOnce = Shape::kSplits < 8 ? Shape::kSplits : 8;

  // In floats, of half a chunk: neighbouring threads 16 bytes apart.
  static DUET_DEVICE int offset(int i, int half) {
    return ((i * 2 + half) * Shape::kThreads + thread_index()) * (kChunkElements / 2);
  }

  const GemmPlace& place_;
  SmemAddr flag_;
  float* workspace_;
  u32* counter_;
};

}  // namespace duet
