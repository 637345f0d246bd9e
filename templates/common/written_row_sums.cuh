// The sums of the rows of C on their way to a layer norm folded into the next product: added up from what the epilogue
// writes, a pair for each row and tile of columns.
#pragma once

#include "templates/common/row_sums.cuh"
#include "templates/common/tile_groups.cuh"

namespace duet {

template <class Shape>
class WrittenRowSums {
  using Group = TileGroup<Shape>;
  static constexpr int kParts = Shape::kConfig.warps_a_row();

 public:
  DUET_DEVICE WrittenRowSums(const GemmParams& params, const GemmPlace& place, SmemAddr smem)
      : params_(params), place_(place), parts_(smem + Shape::kConfig.row_sums_offset()) {
    DUET_UNROLL
    for (int i = 0; i < Shape::kM * 2; ++i) sums_[i] = RowSums{0.0f, 0.0f};
  }

  // A group's elements of C, v[half * 4 + side * 2 + column], zero beyond C.
  DUET_DEVICE void add(const Group& group, const Float8& x) {
    if constexpr (Shape::kOp.writes_row_sums) {
      DUET_UNROLL
      for (int half = 0; half < 2; ++half) {
        RowSums sums{0.0f, 0.0f};
        DUET_UNROLL
        for (int e = half * 4; e < half * 4 + 4; ++e) {
          sums.sum += x.v[e];
          sums.sum_squares = fused_multiply_add(x.v[e], x.v[e], sums.sum_squares);
        }
        // Selects rather than indexes, so that registers hold them where the group is known at run time only.
        DUET_UNROLL
        for (int i = 0; i < Shape::kM; ++i) {
          const bool mine = i == group.i();
          RowSums& row = sums_[2 * i + half];
          row = add_row_sums(row, RowSums{mine ? sums.sum : 0.0f, mine ? sums.sum_squares : 0.0f});
        }
      }
    }
  }

  // Writes them. By all warps, after the last group.
  DUET_DEVICE void finish() const {
    if constexpr (Shape::kOp.writes_row_sums) {
      DUET_UNROLL
      for (int i = 0; i < Shape::kM * 2; ++i) {
        const RowSums total = row_sums_of_quad(sums_[i]);
        const int row = Group::row(place_, i / 2, i % 2);
        if (place_.lane % 4 != 0) continue;
        if constexpr (kParts == 1) {
          write(row, total);
        } else {
          parts_.store(place_.warp_k * Shape::kWarpsN + place_.warp_n, row, total);
        }
      }
      if constexpr (kParts > 1) {
        sync_math<Shape>();
        for (int row = thread_index(); row < Shape::kBlockM; row += Shape::kThreads) write(row, parts_.total(row));
      }
    }
  }

 private:
  DUET_DEVICE void write(int row, RowSums sums) const {
    const i64 column_tile = place_.column0 / Shape::kBlockN;
    if (place_.row0 + row < params_.m)
      store_row_sums(params_.row_sums_out + 2 * (column_tile * params_.m + place_.row0 + row), sums);
  }

  const GemmParams& params_;
  const GemmPlace& place_;
  SharedRowSums<kParts, Shape::kBlockM> parts_;
  RowSums sums_[Shape::kM * 2];  // of rows 8 i + lane / 4 of the warp's part
};

}  // namespace duet
