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
      : place_(place), stages_(smem), flag_(smem + Shape::kConfig.flag_offset()) {
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

  // Calls use(group, sum) for every group that this warp's set finishes, its sum over all splits in their order. The
  // parts come through the stages, which are free, all at once: into registers they would come a few at a time, each
  // few waited for.
  template <class Use>
  DUET_DEVICE void for_each_sum(Use use) const {
    DUET_UNROLL
    for (int first = 0; first < Group::kSlots; first += kBatch) {
      Float8 totals[kBatch];
      DUET_UNROLL
      for (int split = 0; split < Shape::kSplits; split += kRound) add_round(totals, first, split);
      DUET_UNROLL
      for (int i = 0; i < kBatch; ++i) {
        if (exists<Shape>(place_, first + i)) use(group_of<Shape>(place_, first + i), totals[i]);
      }
    }
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
  // What fits the place of the stages: a group's parts of so many splits, and those of so many groups.
  static constexpr int kFit = Shape::kConfig.pipeline_bytes() / Shape::kConfig.split_group_bytes();
  static constexpr int kRound = Shape::kSplits < kFit ? Shape::kSplits : kFit;
  static constexpr int kBatch = Group::kSlots < kFit / kRound ? Group::kSlots : kFit / kRound;

  // Adds the parts of a round of splits to the sums of a batch of groups.
  DUET_DEVICE void add_round(Float8 (&totals)[kBatch], int first_slot, int first_split) const {
    for_each_part(first_slot, first_split, [&](const Group& group, int split, int i) {
      const float* fragments = workspace_ + split * kPartialFloats;
      DUET_UNROLL
      for (int side = 0; side < 2; ++side) {
        if (group.has(side)) cp_async<16>(address(split - first_split, i, side), fragments + offset(group, side), true);
      }
    });
    cp_async_commit();
    cp_async_wait<0>();  // a thread reads what it copied
    for_each_part(first_slot, first_split, [&](const Group& group, int split, int i) {
      Vec16 sides[2] = {};
      DUET_UNROLL
      for (int side = 0; side < 2; ++side) {
        if (group.has(side)) sides[side] = ld_shared_vec16(address(split - first_split, i, side));
      }
      const Float8 part = join_sides(sides[0], sides[1]);
      totals[i] = split == 0 ? part : add8(totals[i], part);
    });
  }

  template <class Use>
  DUET_DEVICE void for_each_part(int first_slot, int first_split, Use use) const {
    DUET_UNROLL
    for (int split = first_split; split < first_split + kRound; ++split) {
      if (split >= Shape::kSplits) continue;
      DUET_UNROLL
      for (int i = 0; i < kBatch; ++i) {
        if (exists<Shape>(place_, first_slot + i)) use(group_of<Shape>(place_, first_slot + i), split, i);
      }
    }
  }

  DUET_DEVICE SmemAddr address(int split, int i, int side) const {
    return stages_ + static_cast<u32>((((split * kBatch + i) * 2 + side) * Shape::kThreads + thread_index()) * 16);
  }

  // In floats: neighbouring threads 16 bytes apart.
  static DUET_DEVICE int offset(const Group& group, int side) {
    return ((group.slot * 2 + side) * Shape::kThreads + thread_index()) * 4;
  }

  const GemmPlace& place_;
  SmemAddr stages_, flag_;
  float* workspace_;
  u32* counter_;
};

}  // namespace duet
