// Split-K: several blocks share a tile of C, each over a part of k. All but that of the last part leave their sums in
// the workspace; that one waits for them and adds its own, in the order of the parts. It does not deadlock where fewer
// blocks than there are fit the device: blocks start in the order of their index, in which it comes after those that it
// waits for (gemm_grid), and these wait for nobody.
#pragma once

#include "templates/common/gemm_block.cuh"
#include "templates/common/row_statistics.cuh"
#include "templates/common/tile_groups.cuh"

namespace duet {

// Workspace: (batch, tile, split but the last) partials of [groups_per_thread][side][threads] fragments of 4 floats,
// then [block_m] row sums. The reader of a fragment is the thread index that wrote it, and a warp's access is
// contiguous. Counters: (batch, tile), how many blocks have left their sums, or of two blocks how many warps.
template <class Shape>
class SplitK {
  using Group = TileGroup<Shape>;
  static constexpr int kOthers = Shape::kSplits - 1;
  // Two blocks hand over warp by warp, so that none waits for a block's last warp. Of more, one warp a block speaks for
  // all: additions to a counter come one after the other.
  static constexpr bool kByWarps = Shape::kSplits == 2;
  static constexpr i64 kPartialFloats = gemm_partial_bytes(Shape::kConfig) / 4;
  static constexpr int kGroupFloats = Group::kSlots * 2 * Shape::kThreads * 4;

 public:
  DUET_DEVICE SplitK(const GemmParams& params, const GemmPlace& place, SmemAddr smem) : place_(place), stages_(smem) {
    workspace_ = params.workspace + place.tile * kOthers * kPartialFloats;
    left_ = params.counters + place.tile;
  }

  // Whether this block finishes the tile.
  DUET_DEVICE bool is_last() const { return place_.split == kOthers; }

  // By all but the last. What has been stored is visible to who sees the addition, which releases it (PTX: causality
  // order is transitive over barriers).
  DUET_DEVICE void leave(const TileSums<Shape>& sums, const RowStatistics<Shape>& statistics) const {
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
    sync_handover();
    if (speaks()) counter_release(left_, 1);
  }

  // By the last, in this order: takes its own sums into registers, waits until the others have left theirs, and calls
  // use(group, sum) for every group that this warp's set finishes, its sum over all splits in their order. The others'
  // parts come through the stages, which are free, all at once: into registers they would come a few at a time, each
  // few waited for.
  struct OwnSums {
    Float8 of_slot[Group::kSlots];
  };
  DUET_DEVICE OwnSums own_sums(const TileSums<Shape>& sums) const {
    OwnSums own;
    for_each_group<Shape>(place_, [&](const Group& group) { own.of_slot[group.slot] = sums.sum(group); });
    return own;
  }
  DUET_DEVICE void await_others() const {
    if (speaks()) counter_wait(left_, kByWarps ? Shape::kThreads / 32 : kOthers);
    sync_handover();
    if constexpr (kByWarps && Shape::kWarpsK > 1) sync_math<Shape>();  // sums lay where the others' parts come now
  }
  // Leaves the counter at zero for the next launch. When all that wait for it have seen it.
  DUET_DEVICE void reset() const {
    if constexpr (kByWarps) sync_math<Shape>();
    if (thread_index() == 0) st_global_u32(left_, 0);
  }
  template <class Use>
  DUET_DEVICE void for_each_sum(const OwnSums& own, Use use) const {
    DUET_UNROLL
    for (int first = 0; first < Group::kSlots; first += kBatch) {
      copy_parts(first);
      DUET_UNROLL
      for (int i = 0; i < kBatch; ++i) {
        if (!exists<Shape>(place_, first + i)) continue;
        const Group group = group_of<Shape>(place_, first + i);
        use(group, total(group, i, own.of_slot[first + i]));
      }
    }
  }

  DUET_DEVICE RowSums row_sums(int row, RowSums own) const {
    RowSums sums{0.0f, 0.0f};
    DUET_UNROLL
    for (int split = 0; split < kOthers; ++split)
      sums = add_row_sums(sums, load_row_sums(workspace_ + split * kPartialFloats + kGroupFloats + row * 2));
    return add_row_sums(sums, own);
  }

 private:
  // Groups whose parts fit the place of the stages.
  static constexpr int kFit = Shape::kConfig.pipeline_bytes() / Shape::kConfig.split_group_bytes();
  static constexpr int kBatch = Group::kSlots < kFit ? Group::kSlots : kFit;

  // Among those for whom one thread speaks.
  static DUET_DEVICE void sync_handover() {
    if constexpr (kByWarps) {
      sync_warp();
    } else {
      sync_math<Shape>();
    }
  }
  DUET_DEVICE bool speaks() const { return kByWarps ? place_.lane == 0 : thread_index() == 0; }

  DUET_DEVICE void copy_parts(int first_slot) const {
    DUET_UNROLL
    for (int split = 0; split < kOthers; ++split) {
      const float* fragments = workspace_ + split * kPartialFloats;
      DUET_UNROLL
      for (int i = 0; i < kBatch; ++i) {
        if (!exists<Shape>(place_, first_slot + i)) continue;
        const Group group = group_of<Shape>(place_, first_slot + i);
        DUET_UNROLL
        for (int side = 0; side < 2; ++side) {
          if (group.has(side)) cp_async<16>(address(split, i, side), fragments + offset(group, side), true);
        }
      }
    }
    cp_async_commit();
    cp_async_wait<0>();  // a thread reads what it copied
  }

  // Of the batch's i-th group.
  DUET_DEVICE Float8 total(const Group& group, int i, const Float8& own) const {
    Float8 total = copied_part(group, 0, i);
    DUET_UNROLL
    for (int split = 1; split < kOthers; ++split) total = add8(total, copied_part(group, split, i));
    return add8(total, own);
  }
  DUET_DEVICE Float8 copied_part(const Group& group, int split, int i) const {
    Vec16 sides[2] = {};
    DUET_UNROLL
    for (int side = 0; side < 2; ++side) {
      if (group.has(side)) sides[side] = ld_shared_vec16(address(split, i, side));
    }
    return join_sides(sides[0], sides[1]);
  }

  DUET_DEVICE SmemAddr address(int split, int i, int side) const {
    return stages_ + static_cast<u32>((((split * kBatch + i) * 2 + side) * Shape::kThreads + thread_index()) * 16);
  }

  // In floats: neighbouring threads 16 bytes apart.
  static DUET_DEVICE int offset(const Group& group, int side) {
    return ((group.slot * 2 + side) * Shape::kThreads + thread_index()) * 4;
  }

  const GemmPlace& place_;
  SmemAddr stages_;
  float* workspace_;
  u32* left_;
};

}  // namespace duet
