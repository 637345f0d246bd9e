// The accumulators on their way out, in groups: the two neighbouring fragments of 16 rows and 8 columns that a quad of
// lanes turns into four chunks of 16 bytes, one a lane. They stay in the registers they were summed in, unless sets of
// warps share the k steps: then all sums pass through shared memory, and each set adds up and finishes every warps_k-th
// group.
#pragma once

#include "templates/common/gemm_block.cuh"
#include "templates/common/vec.cuh"

namespace duet {

// One group of a warp. Its eight elements in a lane: (rows 0-7 or 8-15, left or right fragment, two columns).
template <class Shape>
struct TileGroup {
  static constexpr int kPairs = ceil_div(Shape::kN, 2);  // of fragments, along n
  static constexpr int kCount = Shape::kM * kPairs;
  static constexpr int kSlots = ceil_div(kCount, Shape::kWarpsK);  // of one set
  static_assert(kSlots == Shape::kConfig.groups_per_thread(), "the host counts the same groups");

  int index;
  int slot;  // among those of its set

  DUET_DEVICE int i() const { return index / kPairs; }
  DUET_DEVICE int j(int side) const { return index % kPairs * 2 + side; }
  DUET_DEVICE bool has(int side) const { return j(side) < Shape::kN; }  // of an odd number, the last is alone

  // In the block's tile: a lane's row of half a fragment and its first column, and the chunk it holds after the quad's
  // exchange.
  static DUET_DEVICE int row(const GemmPlace& place, int i, int half) {
    return place.warp_row + i * kMmaM + half * 8 + place.lane / 4;
  }
  DUET_DEVICE int column(const GemmPlace& place, int side) const {
    return place.warp_column + j(side) * kMmaN + place.lane % 4 * 2;
  }
  DUET_DEVICE int chunk_row(const GemmPlace& place) const { return row(place, i(), place.lane / 2 % 2); }
  DUET_DEVICE int chunk_column(const GemmPlace& place) const { return place.warp_column + j(place.lane % 2) * kMmaN; }
  DUET_DEVICE bool has_chunk(const GemmPlace& place) const { return has(place.lane % 2); }
};

// A set's slot holds a group; the last ones of some sets need not.
template <class Shape>
DUET_DEVICE TileGroup<Shape> group_of(const GemmPlace& place, int slot) {
  return TileGroup<Shape>{Shape::kWarpsK > 1 ? slot * Shape::kWarpsK + place.warp_k : slot, slot};
}
template <class Shape>
DUET_DEVICE bool exists(const GemmPlace& place, int slot) {
  using Group = TileGroup<Shape>;
  if (slot >= Group::kSlots) return false;
  return Group::kCount % Shape::kWarpsK == 0 || group_of<Shape>(place, slot).index < Group::kCount;
}

// Calls use(group) for every group that this warp's set finishes.
template <class Shape, class Use>
DUET_DEVICE void for_each_group(const GemmPlace& place, Use use) {
  DUET_UNROLL
  for (int slot = 0; slot < TileGroup<Shape>::kSlots; ++slot) {
    if (exists<Shape>(place, slot)) use(group_of<Shape>(place, slot));
  }
}

// The sums of a block's tile, each group in the set that finishes it.
template <class Shape>
class TileSums {
  using Group = TileGroup<Shape>;
  using Accumulators = float[Shape::kM][Shape::kN][4];

 public:
  DUET_DEVICE TileSums(const GemmPlace& place, SmemAddr smem, const Accumulators& acc)
      : place_(place), smem_(smem), acc_(acc) {}

  // Hands every set the sums of its groups, in the place of the stages, which must be free. By all warps.
  DUET_DEVICE void exchange_sets() const {
    if constexpr (Shape::kWarpsK > 1) {
      DUET_UNROLL
      for (int i = 0; i < Shape::kM; ++i) {
        DUET_UNROLL
        for (int j = 0; j < Shape::kN; ++j) st_shared_vec16(address(place_.warp_k, i, j), fragment(i, j));
      }
      sync_math<Shape>();
    }
  }

  // A group of this warp's set, summed in the order of the sets.
  DUET_DEVICE Float8 sum(const Group& group) const {
    Vec16 sides[2] = {};
    if constexpr (Shape::kWarpsK == 1) {
      DUET_UNROLL
      for (int side = 0; side < 2; ++side) {
        if (group.has(side)) sides[side] = fragment(group.i(), group.j(side));
      }
      return join_sides(sides[0], sides[1]);
    } else {
      Float8 total = part(0, group);
      DUET_UNROLL
      for (int set = 1; set < Shape::kWarpsK; ++set) total = add8(total, part(set, group));
      return total;
    }
  }

 private:
  DUET_DEVICE Float8 part(int set, const Group& group) const {
    Vec16 sides[2] = {};
    DUET_UNROLL
    for (int side = 0; side < 2; ++side) {
      if (group.has(side)) sides[side] = ld_shared_vec16(address(set, group.i(), group.j(side)));
    }
    return join_sides(sides[0], sides[1]);
  }

  DUET_DEVICE Vec16 fragment(int i, int j) const {
    Vec16 bits;
    DUET_UNROLL
    for (int e = 0; e < 4; ++e) bits.word[e] = float_to_bits(acc_[i][j][e]);
    return bits;
  }

  // Neighbouring threads 16 bytes apart: the thread that reads holds the same place of the tile in its set.
  DUET_DEVICE SmemAddr address(int set, int i, int j) const {
    const int fragment = (set * Shape::kM + i) * Shape::kN + j;
    return smem_ + static_cast<u32>((fragment * Shape::kTileThreads + thread_index() % Shape::kTileThreads) * 16);
  }

  const GemmPlace& place_;
  SmemAddr smem_;
  const Accumulators& acc_;
};

}  // namespace duet
