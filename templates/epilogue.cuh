// What happens to fp32 sums on their way to C: folded layer norm, bias, activation, residual, and one rounding.
#pragma once

#include "templates/common/epilogue_operands.cuh"
#include "templates/common/math.cuh"
#include "templates/common/quad.cuh"
#include "templates/common/row_statistics.cuh"
#include "templates/common/tile_groups.cuh"
#include "templates/common/written_row_sums.cuh"

namespace duet {

// Mean and rstd of the rows that a lane holds, kept where several groups need a row's; sums_of(row) gives a row's sums
// over all of k.
template <class Shape, class SumsOf>
class RowNorms {
  static constexpr bool kKept = !Shape::kConfig.groups_span_warp();

 public:
  DUET_DEVICE RowNorms(const GemmParams& params, const GemmPlace& place, const SumsOf& sums_of, SmemAddr)
      : params_(params), place_(place), sums_of_(sums_of) {
    if constexpr (kKept && Shape::kOp.layer_norm) {
      DUET_UNROLL
      for (int i = 0; i < Shape::kM; ++i) {
        DUET_UNROLL
        for (int half = 0; half < 2; ++half) kept_[i][half] = norm(i, half);
      }
    }
  }

  // Selects rather than indexes, so that registers hold them where `i` is known at run time only.
  DUET_DEVICE RowNorm at(int i, int half) const {
    if constexpr (!kKept) return norm(i, half);
    RowNorm norm = kept_[0][half];
    DUET_UNROLL
    for (int other = 1; other < Shape::kM; ++other) {
      norm.mean = i == other ? kept_[other][half].mean : norm.mean;
      norm.rstd = i == other ? kept_[other][half].rstd : norm.rstd;
    }
    return norm;
  }

 private:
  DUET_DEVICE RowNorm norm(int i, int half) const {
    const RowSums sums = sums_of_(TileGroup<Shape>::row(place_, i, half));
    return row_norm(sums, params_.k, params_.layer_norm_epsilon);
  }

  const GemmParams& params_;
  const GemmPlace& place_;
  const SumsOf& sums_of_;
  RowNorm kept_[Shape::kM][2];  // (fragment, half)
};

template <class Shape>
class GemmEpilogue : public EpilogueOperands<Shape> {
  using Base = EpilogueOperands<Shape>;
  using Group = TileGroup<Shape>;

 protected:
  using Base::bias_, Base::fold_sum_, Base::place_;

 public:
  template <class SumsOf>
  using Terms = RowNorms<Shape, SumsOf>;

  DUET_DEVICE GemmEpilogue(const GemmParams& params, const GemmPlace& place, SmemAddr smem)
      : Base(params, place, smem), residual_(smem + Shape::kConfig.chunks_offset()) {}

  // The residual is written by an earlier kernel.
  DUET_DEVICE void prefetch_residual() const {
    if constexpr (Shape::kOp.residual) Base::with_residual_rows([this](auto rows) { copy_residual(rows); });
  }

  // Writes C of a group from its sums, and adds it to the rows' sums. By all lanes. Without a branch: a warp has many
  // groups and each is a long chain, so that they must overlap. Columns beyond C come out as zeros, as its padding must
  // be: operands, bias, fold_sum and the residual are zero there, and so is every activation of zero.
  template <class Norms>
  DUET_DEVICE void finish(const Group& group, const Float8& x, const Norms& norms,
                          WrittenRowSums<Shape>& row_sums) const {
    Vec16 chunk = elements(group, x, columns_of(group), norms, row_sums, [&] { return residual_of(group); });
    regroup(chunk);
    Base::store(chunk, place_.row0 + group.chunk_row(place_), place_.column0 + group.chunk_column(place_),
                group.has_chunk(place_));
  }

  // Nothing is left to do after the last group.
  DUET_DEVICE void finish_last(const WrittenRowSums<Shape>&) const {}

 protected:
  // Of a group's columns, (side, column).
  struct Columns {
    float fold_sum[2][2], bias[2][2];
  };
  DUET_DEVICE Columns columns_of(const Group& group) const {
    Columns columns{};
    if constexpr (Shape::kOp.layer_norm) load_columns(columns.fold_sum, fold_sum_, group);
    if constexpr (Shape::kOp.bias) load_columns(columns.bias, bias_, group);
    return columns;
  }

  // C of a group as a lane holds it: pairs of columns, (row half, side) each.
  template <class Norms, class Residual>
  DUET_DEVICE Vec16 elements(const Group& group, Float8 x, const Columns& columns, const Norms& norms,
                             WrittenRowSums<Shape>& row_sums, Residual residual) const {
    if constexpr (Shape::kOp.layer_norm) {
      normalise(group, x, columns, norms);
    } else if constexpr (Shape::kOp.bias) {
      Base::for_each_element([&](int e, int, int side, int column) { x.v[e] += columns.bias[side][column]; });
    }
    DUET_UNROLL
    for (int e = 0; e < kVecElements; ++e) x.v[e] = activate<Shape::kOp.activation>(x.v[e]);
    if constexpr (Shape::kOp.residual) x = add8(x, unpack8<Shape::kDtype>(residual()));
    row_sums.add(group, x);
    return pack8<Shape::kDtype>(x);
  }

 private:
  // rstd (x - mean fold_sum) + bias, in two steps an element.
  template <class Norms>
  DUET_DEVICE void normalise(const Group& group, Float8& x, const Columns& columns, const Norms& norms) const {
    const RowNorm of_half[2] = {norms.at(group.i(), 0), norms.at(group.i(), 1)};
    const float shift[2] = {-of_half[0].mean * of_half[0].rstd, -of_half[1].mean * of_half[1].rstd};
    Base::for_each_element([&](int e, int half, int side, int column) {
      const float rest = fused_multiply_add(shift[half], columns.fold_sum[side][column], columns.bias[side][column]);
      x.v[e] = fused_multiply_add(of_half[half].rstd, x.v[e], rest);
    });
  }

  DUET_DEVICE void load_columns(float (&values)[2][2], SmemAddr vector, const Group& group) const {
    DUET_UNROLL
    for (int side = 0; side < 2; ++side) {
      if (!group.has(side)) continue;
      const Vec8 pair = ld_shared_vec8(vector + static_cast<u32>(group.column(place_, side) * 4));
      values[side][0] = bits_to_float(pair.word[0]);
      values[side][1] = bits_to_float(pair.word[1]);
    }
  }

  DUET_DEVICE SmemAddr residual_chunk(const Group& group) const {
    return residual_ + static_cast<u32>((group.slot * Shape::kThreads + thread_index()) * kChunkBytes);
  }
  template <class ResidualRow>
  DUET_DEVICE void copy_residual(ResidualRow residual_row) const {
    for_each_group<Shape>(place_, [&](const Group& group) {
      Base::copy_residual(residual_chunk(group), place_.row0 + group.chunk_row(place_),
                          place_.column0 + group.chunk_column(place_), group.has_chunk(place_), residual_row);
    });
  }
  DUET_DEVICE Vec16 residual_of(const Group& group) const {
    Vec16 chunk = ld_shared_vec16(residual_chunk(group));
    regroup(chunk);
    return chunk;
  }

  // From a lane's pairs of columns, one a chunk, to one chunk a lane, and back.
  DUET_DEVICE void regroup(Vec16& bits) const { transpose_quad(bits.word, place_.lane); }

  SmemAddr residual_;
};

}  // namespace duet
