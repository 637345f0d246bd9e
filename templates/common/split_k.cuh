// Split-K: several blocks share a tile of C, each over a part of k. Every block leaves its partial sums in the
// workspace; the one that arrives last adds all of them, its own included, in the order of the splits. Which block that
// is varies from run to run, the result does not.
#pragma once

#include "templates/common/arrive.cuh"
#include "templates/common/gemm_block.cuh"
#include "templates/common/row_statistics.cuh"
#include "templates/common/tile_groups.cuh"

namespace duet {

// Workspace: (batch, tile, split) partials of [groups_per_thread][side][threads] fragments of 4 floats, then [block_m]
// row sums. The reader of a fragment is the thread index that wrote it, and a warp's access is contiguous.
template <class Shape>
class SplitK {
  using Group = TileGroup<Shape>;
  static constexpr i64 kPartialFloats = gemm_partial_bytes(Shape::kConfig) / 4;
  static constexpr int kGroupFloats = Group::kSlots * 2 * Shape::kThreads * 4;

 public:
  DUET_DEVICE SplitK(const GemmParams& params, const GemmPlace& place, SmemAddr smem)
      : place_(place), flag_(smem + Shape::kConfig.flag_offset()) {
    workspace_ = params.workspace + place.tile * Shape::kSplits * kPartialFloats;
    counter_ = params.counters + place.tile;
  }

  DUET_DEVICE void store(const TileSums<Shape>& sums, const RowStatistics<Shape>& statistics) const {
    float* partial = workspace_ + place_.split * kPartialFloats;
    for_each_group<Shape>(place_, [&](const Group& group) {
      const Float8 sum = sums.sum(group);
      DUET_UNROLL
      for (int side = 0; side < 2; ++side) {
        if (group.has(side)) st_global_vec16(partial + offset(group, side), side_of(sum, side));
      }
    });
    if constexpr (Shape::kSumsRows) {
      for (int row = thread_index(); row < Shape::kBlockM; row += Shape::kThreads) {
        const RowSums total = statistics.total(row);
        store_row_sums(partial + kGroupFloats + row * 2, total);
      }
    }
  }

  // True in every thread of the block that completes the tile.
  DUET_DEVICE bool is_last() const {
    return arrive_last(counter_, Shape::kSplits, flag_, [] { sync_math<Shape>(); });
  }

  // A group of this thread over all splits, whose loads are all on their way before the first is waited for.
  DUET_DEVICE Float8 sum(const Group& group) const {
    Float8 total = splat8(0.0f);
    DUET_UNROLL
    for (int first = 0; first < Shape::kSplits; first += kSplitsAtOnce) {
      Vec16 parts[kSplitsAtOnce][2] = {};
      DUET_UNROLL
      for (int split = 0; split < kSplitsAtOnce; ++split) {
        if (first + split >= Shape::kSplits) continue;
        const float* partial = workspace_ + (first + split) * kPartialFloats;
        DUET_UNROLL
        for (int side = 0; side < 2; ++side) {
          if (group.has(side)) parts[split][side] = ld_global_coherent_vec16(partial + offset(group, side));
        }
      }
      DUET_UNROLL
      for (int split = 0; split < kSplitsAtOnce; ++split) {
        if (first + split < Shape::kSplits) total = add8(total, join_sides(parts[split][0], parts[split][1]));
      }
    }
    return total;
  }

  DUET_DEVICE RowSums row_sums(int row) const {
    RowSums sums{0.0f, 0.0f};
    DUET_UNROLL
    for (int split = 0; split < Shape::kSplits; ++split) {
      sums = add_row_sums(sums, load_row_sums(workspace_ + split * kPartialFloats + kGroupFloats + row * 2));
    }
    return sums;
  }

 private:
  static constexpr int kSplitsAtOnce = Shape::kSplits < 8 ? Shape::kSplits : 8;

  // In floats: neighbouring threads 16 bytes apart.
  static DUET_DEVICE int offset(const Group& group, int side) {
    return ((group.slot * 2 + side) * Shape::kThreads + thread_index()) * 4;
  }

  const GemmPlace& place_;
  SmemAddr flag_;
  float* workspace_;
  u32* counter_;
};

}  // namespace duet
