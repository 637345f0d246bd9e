// The sums of the rows of C on their way to a layer norm folded into the next product: added up from what the epilogue
// writes, a pair for each row and tile of columns.
#pragma once

#include "templates/common/quad.cuh"
#include "templates/common/row_products.cuh"
#include "templates/common/row_sums.cuh"
#include "templates/common/tile_groups.cuh"

namespace duet {

template <class Shape>
class WrittenRowSums {
  using Group = TileGroup<Shape>;
  static constexpr int kParts = Shape::kConfig.row_sum_parts();
  static constexpr bool kWholeRows = Shape::kConfig.groups_span_warp();  // a group has all that its warp has of a row

 public:
  DUET_DEVICE WrittenRowSums(const GemmParams& params, const GemmPlace& place, SmemAddr smem)
      : params_(params), place_(place), parts_(smem + Shape::kConfig.row_sums_offset()) {
    DUET_UNROLL
    for (int i = 0; i < Shape::kM * 2; ++i) sums_[i] = RowSums{0.0f, 0.0f};
  }

  // A group's elements of C, v[half * 4 + side * 2 + column], zero beyond C.
  DUET_DEVICE void add(const Group& group, const Float8& x) {
    if constexpr (Shape::kOp.writes_row_sums) {
      RowSums sums[2] = {};  // of a half each
      DUET_UNROLL
      for (int e = 0; e < kVecElements; ++e) {
        sums[e / 4].sum += x.v[e];
        sums[e / 4].sum_squares = fused_multiply_add(x.v[e], x.v[e], sums[e / 4].sum_squares);
      }
      if constexpr (kWholeRows) {
        hand_on(group.i(), 0, sums[0], sums[1]);
      } else {
        keep(group.i(), 0, sums[0]);
        keep(group.i(), 1, sums[1]);
      }
    }
  }

  // The same of a group of a transposed tile, 16 rows and all columns that its warp has, as C has them.
  DUET_DEVICE void add_block(const Group& group, const u32 (&c)[4]) const {
    static_assert(kWholeRows && kParts > 1, "a transposed tile has four warps along n at least, of 16 columns each");
    RowProducts<Shape::kDtype> products;
    products.add(c);
    DUET_UNROLL
    for (int half = 0; half < 2; ++half) {
      const int row = place_.warp_row + group.i() * kMmaM + half * 8 + place_.lane / 4;
      if (products.holds(place_.lane)) parts_.store(place_.warp_n, row, products.total(half, place_.lane));
    }
  }

  // Writes them. By all warps, after the last group.
  DUET_DEVICE void finish() const {
    if constexpr (Shape::kOp.writes_row_sums) {
      if constexpr (!kWholeRows) {
        DUET_UNROLL
        for (int i = 0; i < Shape::kM; ++i) hand_on(i, place_.warp_k, sums_[2 * i], sums_[2 * i + 1]);
      }
      if constexpr (kParts > 1) {
        sync_math<Shape>();
        // Most threads have one row or none.
        DUET_NO_UNROLL
        for (int row = thread_index(); row < Shape::kBlockM; row += Shape::kThreads) write(row, parts_.total(row));
      }
    }
  }

 private:
  // Selects rather than indexes, so that registers hold them where the group is known at run time only.
  DUET_DEVICE void keep(int fragment, int half, RowSums sums) {
    DUET_UNROLL
    for (int i = 0; i < Shape::kM; ++i) {
      const bool mine = i == fragment;
      RowSums& row = sums_[2 * i + half];
      row = add_row_sums(row, RowSums{mine ? sums.sum : 0.0f, mine ? sums.sum_squares : 0.0f});
    }
  }

  // A warp's sums of the two rows of a fragment that a lane has parts of. Of four lanes with the same rows each adds up
  // and stores one of the four numbers.
  DUET_DEVICE void hand_on(int fragment, int set, RowSums upper, RowSums lower) const {
    const float parts[4] = {upper.sum, upper.sum_squares, lower.sum, lower.sum_squares};
    const float total = sum_over_quad(parts, place_.lane);
    const int row = Group::row(place_, fragment, place_.lane / 2 % 2), number = place_.lane % 2;
    if constexpr (kParts == 1) {
      if (place_.row0 + row < params_.m) st_global_u32(pair_out(row) + number, float_to_bits(total));
    } else {
      parts_.store_number(set * Shape::kWarpsN + place_.warp_n, row, number, total);
    }
  }

  DUET_DEVICE void write(int row, RowSums sums) const {
    if (place_.row0 + row < params_.m) store_row_sums(pair_out(row), sums);
  }
  DUET_DEVICE float* pair_out(int row) const {
    const i64 column_tile = place_.column0 / Shape::kBlockN;
    return params_.row_sums_out + 2 * (column_tile * params_.m + place_.row0 + row);
  }

  const GemmParams& params_;
  const GemmPlace& place_;
  SharedRowSums<kParts, Shape::kBlockM> parts_;
  RowSums sums_[Shape::kM * 2];  // of rows 8 i + lane / 4 of the warp's part
};

}  // namespace duet
