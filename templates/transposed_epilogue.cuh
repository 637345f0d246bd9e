// The epilogue of a transposed tile (kLoaderWgmmaTransposed), whose sums lie with C's columns along a fragment's rows:
// a lane holds two columns of C, and of each group of 16 rows two pairs that follow each other. Everything is computed
// as it lies, since bias and fold_sum are then two numbers a lane; turned are only the rounded elements, by stmatrix,
// in a box of shared memory that the four warps of a product share. What leaves it are whole rows of 64 columns.
#pragma once

#include "templates/common/epilogue_operands.cuh"
#include "templates/common/math.cuh"
#include "templates/common/row_statistics.cuh"
#include "templates/common/tile_groups.cuh"
#include "templates/common/written_row_sums.cuh"
#include "templates/device/wgmma.cuh"

#ifdef DUET_HAS_WGMMA

namespace duet {

// What all groups of a warp need: of every row of the tile rstd and -mean rstd, in shared memory, where each thread
// works out some of them instead of each warp all; and fold_sum and bias of the lane's two columns. By all warps, when
// the rows' sums have been left; complete when it is made. The norms take the place of the sums.
template <class Shape>
class TransposedTerms {
 public:
  template <class SumsOf>
  DUET_DEVICE TransposedTerms(const GemmParams& params, const GemmPlace& place, const SumsOf& sums_of, SmemAddr smem)
      : norms_(smem + Shape::kConfig.statistics_offset()) {
    if constexpr (Shape::kOp.bias) load_columns(bias, place, smem + Shape::kConfig.bias_offset());
    if constexpr (Shape::kOp.layer_norm) {
      load_columns(fold_sum, place, smem + Shape::kConfig.fold_sum_offset());
      if constexpr (!Shape::kConfig.leaves_norms()) leave_norms(params, sums_of);
    }
  }

  // Of a row of the tile and the next.
  struct Norms {
    float rstd[2], shift[2];
  };
  // What a group's elements are made of beside their sums, from shared memory. It is asked for a group ahead: an access
  // to shared memory is not moved across another, so that what waits for it would stand between the groups' arithmetic.
  struct Operands {
    Norms norms[2];  // of rows 0-7 and 8-15
    Vec16 residual;
  };
  DUET_DEVICE Norms norms(int row) const {
    const Vec16 bits = ld_shared_vec16(at(row));
    return Norms{{bits_to_float(bits.word[0]), bits_to_float(bits.word[2])},
                 {bits_to_float(bits.word[1]), bits_to_float(bits.word[3])}};
  }

  float bias[2] = {}, fold_sum[2] = {};  // of columns lane / 4 and lane / 4 + 8 of the warp's
  Operands next;                         // the next group's

 private:
  DUET_DEVICE SmemAddr at(int row) const { return norms_ + static_cast<u32>(row * 8); }

  template <class SumsOf>
  DUET_DEVICE void leave_norms(const GemmParams& params, const SumsOf& sums_of) const {
    // Most threads have one row or none.
    DUET_NO_UNROLL
    for (int row = thread_index(); row < Shape::kBlockM; row += Shape::kThreads)
      st_shared_vec8(at(row), scale_and_shift(params, sums_of(row)));
    sync_math<Shape>();
  }

  static DUET_DEVICE void load_columns(float (&values)[2], const GemmPlace& place, SmemAddr vector) {
    DUET_UNROLL
    for (int half = 0; half < 2; ++half)
      values[half] = ld_shared_f32(vector + static_cast<u32>((place.warp_column + half * 8 + place.lane / 4) * 4));
  }

  SmemAddr norms_;
};

template <class Shape>
class TransposedEpilogue : public EpilogueOperands<Shape> {
  using Base = EpilogueOperands<Shape>;
  using Group = TileGroup<Shape>;
  static_assert(Shape::kN == 2, "a warp has 16 columns");
  using Operands = typename TransposedTerms<Shape>::Operands;
  using Base::place_;

 public:
  template <class SumsOf>
  using Terms = TransposedTerms<Shape>;

  DUET_DEVICE TransposedEpilogue(const GemmParams& params, const GemmPlace& place, SmemAddr smem)
      : Base(params, place, smem),
        box_(smem +
             static_cast<u32>(Shape::kConfig.chunks_offset() + thread_index() / kGroupThreads * kMmaM * kRowBytes)) {}

  // The residual is written by an earlier kernel.
  DUET_DEVICE void prefetch_residual() const {
    if constexpr (Shape::kOp.residual) Base::with_residual_rows([this](auto rows) { copy_residual(rows); });
  }

  // Puts C of a group, from its sums, into the box, and writes an earlier group to memory: what waits for shared memory
  // there waits beside this group's arithmetic. By all lanes, group by group. Padding comes out as zeros, as in
  // GemmEpilogue.
  DUET_DEVICE void finish(const Group& group, Float8 x, TransposedTerms<Shape>& terms,
                          WrittenRowSums<Shape>& row_sums) const {
    if (group.slot > 0 && group.slot % kLag == 0) sync_warpgroup();
    const bool writes = group.slot >= kLag;
    const Group earlier = group_of<Shape>(place_, writes ? group.slot - kLag : 0);
    const Vec16 turned = writes ? ld_shared_vec16(chunk(earlier)) : Vec16{};
    const Operands own = group.slot == 0 ? operands_of(group, terms) : terms.next;
    if (exists<Shape>(place_, group.slot + 1)) terms.next = operands_of(group_of<Shape>(place_, group.slot + 1), terms);
    if constexpr (Shape::kOp.layer_norm) {
      normalise(x, own, terms);
    } else if constexpr (Shape::kOp.bias) {
      Base::for_each_element([&](int e, int half, int, int) { x.v[e] += terms.bias[half]; });
    }
    DUET_UNROLL
    for (int e = 0; e < kVecElements; ++e) x.v[e] = activate<Shape::kOp.activation>(x.v[e]);
    if constexpr (Shape::kOp.residual) x = add8(x, unpack8<Shape::kDtype>(own.residual));
    const Vec16 words = pack8<Shape::kDtype>(x);
    stmatrix_x4_trans(matrix_row(group), words.word);
    if (writes) write(earlier, turned, row_sums);
  }

  // Writes the last groups. By all lanes, after them.
  DUET_DEVICE void finish_last(WrittenRowSums<Shape>& row_sums) const {
    sync_warpgroup();
    DUET_UNROLL
    for (int slot = 0; slot < Group::kSlots; ++slot) {
      if (!exists<Shape>(place_, slot) || exists<Shape>(place_, slot + kLag)) continue;
      const Group group = group_of<Shape>(place_, slot);
      write(group, ld_shared_vec16(chunk(group)), row_sums);
    }
  }

 private:
  static constexpr int kLag = Shape::kOp.layer_norm ? 2 : 4;  // groups between two barriers, as measured
  static constexpr int kGroupThreads = kWgmmaWarps * 32;
  static constexpr int kRowBytes = kWgmmaRows * 2;  // of the box: as many columns as the product has rows

  // Of one warpgroup with a number that is known: a block whose barrier is computed reserves all 16 that there are.
  static DUET_DEVICE void sync_warpgroup() {
    const int group = Shape::kThreads > kGroupThreads ? thread_index() / kGroupThreads : 0;
    named_barrier(kWarpgroupBarriers + group, kGroupThreads);
  }

  DUET_DEVICE void write(const Group& group, Vec16 turned, WrittenRowSums<Shape>& row_sums) const {
    Base::store(turned, chunk_row(group), chunk_column(), true);
    if constexpr (Shape::kOp.writes_row_sums) {
      u32 rows[4];
      ldmatrix_x4(rows, matrix_row(group));
      row_sums.add_block(group, rows);
    }
  }

  DUET_DEVICE Operands operands_of(const Group& group, const TransposedTerms<Shape>& terms) const {
    Operands operands{};
    if constexpr (Shape::kOp.layer_norm) {
      const int row = place_.warp_row + group.i() * kMmaM + place_.lane % 4 * 2;
      operands.norms[0] = terms.norms(row);
      operands.norms[1] = terms.norms(row + 8);
    }
    if constexpr (Shape::kOp.residual) ldmatrix_x4_trans(operands.residual.word, matrix_row(group));
    return operands;
  }

  // rstd x + (shift fold_sum + bias). An element's column is lane / 4 + 8 half, its row 8 side + lane % 4 * 2 or the
  // next.
  DUET_DEVICE void normalise(Float8& x, const Operands& own, const TransposedTerms<Shape>& terms) const {
    Base::for_each_element([&](int e, int half, int side, int next) {
      const float rest = fused_multiply_add(own.norms[side].shift[next], terms.fold_sum[half], terms.bias[half]);
      x.v[e] = fused_multiply_add(own.norms[side].rstd[next], x.v[e], rest);
    });
  }

  // A group of the four warps in their box: 16 rows of 64 columns, chunks permuted so that eight rows of one lie in
  // different banks.
  DUET_DEVICE SmemAddr place_in(const Group& group, int row, int chunk) const {
    return box_ + static_cast<u32>(group.slot * Shape::kThreads * kChunkBytes + row * kRowBytes +
                                   (chunk ^ (row % 8)) * kChunkBytes);
  }
  // A lane's row of the four matrices of 8x8 elements of its warp: (rows 0-7, columns 0-7), (rows 8-15, columns 0-7),
  // and the same for columns 8-15.
  DUET_DEVICE SmemAddr matrix_row(const Group& group) const {
    return place_in(group, place_.lane % 16, place_.warp_n % kWgmmaWarps * 2 + place_.lane / 16);
  }
  // A lane's chunk on its way to or from memory, and where that is: a warp has four whole rows of the box, since an SM
  // gives out what lies side by side at twice the rate of runs of 32 bytes.
  DUET_DEVICE int row_in_group() const { return place_.warp_n % kWgmmaWarps * 4 + place_.lane / 8; }
  DUET_DEVICE SmemAddr chunk(const Group& group) const { return place_in(group, row_in_group(), place_.lane % 8); }
  DUET_DEVICE int chunk_row(const Group& group) const {
    return place_.row0 + place_.warp_row + group.i() * kMmaM + row_in_group();
  }
  DUET_DEVICE int chunk_column() const {
    return place_.column0 + place_.warp_n / kWgmmaWarps * kWgmmaRows + place_.lane % 8 * kChunkElements;
  }

  template <class ResidualRow>
  DUET_DEVICE void copy_residual(ResidualRow residual_row) const {
    for_each_group<Shape>(place_, [&](const Group& group) {
      Base::copy_residual(chunk(group), chunk_row(group), chunk_column(), true, residual_row);
    });
  }

  SmemAddr box_;
};

}  // namespace duet

#endif
