// What happens to fp32 sums on their way to C: folded layer norm, bias, activation, residual, and one rounding.
#pragma once

#include "templates/common/gemm_block.cuh"
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
  DUET_DEVICE RowNorms(const GemmParams& params, const GemmPlace& place, const SumsOf& sums_of)
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
class GemmEpilogue {
  using Group = TileGroup<Shape>;

 public:
  DUET_DEVICE GemmEpilogue(const GemmParams& params, const GemmPlace& place, SmemAddr smem)
      : params_(params),
        place_(place),
        residual_(smem + Shape::kConfig.residual_offset()),
        bias_(smem + Shape::kConfig.bias_offset()),
        fold_sum_(smem + Shape::kConfig.fold_sum_offset()),
        c_(static_cast<u16*>(params.c) +
           batch_offset(params, place.batch, params.c_stride_outer, params.c_stride_inner)) {}

  // Start copying what is needed at the end only: a cold miss there would be waited for by a kernel that has nothing
  // else left to do. Bias and fold_sum are weights; the residual is written by an earlier kernel.
  DUET_DEVICE void prefetch_columns() const {
    if constexpr (Shape::kOp.bias) copy_columns(bias_, params_.bias);
    if constexpr (Shape::kOp.layer_norm) copy_columns(fold_sum_, params_.fold_sum);
  }
  DUET_DEVICE void prefetch_residual() const {
    if constexpr (Shape::kOp.residual) {
      // A table shared by the images of a batch has fewer rows.
      if (params_.residual_rows < params_.m) {
        for_each_group<Shape>(place_,
                              [&](const Group& g) { copy_residual(g, residual_row(g) % params_.residual_rows); });
      } else {
        for_each_group<Shape>(place_, [&](const Group& g) { copy_residual(g, residual_row(g)); });
      }
    }
  }

  // Writes C of a group from its sums, and adds it to the rows' sums. By all lanes. Without a branch: a warp has many
  // groups and each is a long chain, so that they must overlap. Columns beyond C come out as zeros, as its padding must
  // be: operands, bias, fold_sum and the residual are zero there, and so is every activation of zero.
  template <class Norms>
  DUET_DEVICE void finish(const Group& group, Float8 x, const Norms& norms, WrittenRowSums<Shape>& row_sums) const {
    if constexpr (Shape::kOp.layer_norm) {
      normalise(group, x, norms);
    } else if constexpr (Shape::kOp.bias) {
      add_bias(group, x);
    }
    DUET_UNROLL
    for (int e = 0; e < kVecElements; ++e) x.v[e] = activate<Shape::kOp.activation>(x.v[e]);
    if constexpr (Shape::kOp.residual) x = add8(x, unpack8<Shape::kDtype>(residual_of(group)));
    row_sums.add(group, x);
    Vec16 chunk = pack8<Shape::kDtype>(x);
    regroup(chunk);
    store(group, chunk);
  }

 private:
  // An element of a group: v[half * 4 + side * 2 + column].
  template <class Change>
  static DUET_DEVICE void for_each_element(Change change) {
    DUET_UNROLL
    for (int e = 0; e < kVecElements; ++e) change(e, e / 4, e / 2 % 2, e % 2);
  }

  // rstd (x - mean fold_sum) + bias, in two steps an element.
  template <class Norms>
  DUET_DEVICE void normalise(const Group& group, Float8& x, const Norms& norms) const {
    float fold_sum[2][2] = {}, bias[2][2] = {};
    load_columns(fold_sum, fold_sum_, group);
    if constexpr (Shape::kOp.bias) load_columns(bias, bias_, group);
    const RowNorm of_half[2] = {norms.at(group.i(), 0), norms.at(group.i(), 1)};
    const float shift[2] = {-of_half[0].mean * of_half[0].rstd, -of_half[1].mean * of_half[1].rstd};
    for_each_element([&](int e, int half, int side, int column) {
      const float rest = fused_multiply_add(shift[half], fold_sum[side][column], bias[side][column]);
      x.v[e] = fused_multiply_add(of_half[half].rstd, x.v[e], rest);
    });
  }

  DUET_DEVICE void add_bias(const Group& group, Float8& x) const {
    float bias[2][2] = {};
    load_columns(bias, bias_, group);
    for_each_element([&](int e, int, int side, int column) { x.v[e] += bias[side][column]; });
  }

  // fp32 vectors of n elements have no padding, so they are copied 4 bytes a thread.
  DUET_DEVICE void copy_columns(SmemAddr dst, const float* src) const {
    for (int i = thread_index(); i < Shape::kBlockN; i += Shape::kThreads) {
      const bool valid = place_.column0 + i < params_.n;
      cp_async<4>(dst + static_cast<u32>(i * 4), src + (valid ? place_.column0 + i : 0), valid);
    }
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
  DUET_DEVICE int residual_row(const Group& group) const { return place_.row0 + group.chunk_row(place_); }
  DUET_DEVICE void copy_residual(const Group& group, int row) const {
    const int column = place_.column0 + group.chunk_column(place_);
    const bool valid = group.has_chunk(place_) && residual_row(group) < params_.m && column < params_.n;
    const i64 element = valid ? static_cast<i64>(row) * params_.ld_residual + column : 0;
    cp_async<kChunkBytes>(residual_chunk(group), static_cast<const u16*>(params_.residual) + element, valid);
  }
  DUET_DEVICE Vec16 residual_of(const Group& group) const {
    Vec16 chunk = ld_shared_vec16(residual_chunk(group));
    regroup(chunk);
    return chunk;
  }

  // From a lane's pairs of columns, one a chunk, to one chunk a lane, and back.
  DUET_DEVICE void regroup(Vec16& bits) const { transpose_quad(bits.word, place_.lane); }

  DUET_DEVICE void store(const Group& group, Vec16 chunk) const {
    const int row = place_.row0 + group.chunk_row(place_);
    const int column = place_.column0 + group.chunk_column(place_);
    const bool valid = group.has_chunk(place_) && row < params_.m && column < params_.n;
    st_global_vec16_if(valid, c_ + static_cast<i64>(row) * params_.ldc + column, chunk);
  }

  const GemmParams& params_;
  const GemmPlace& place_;
  SmemAddr residual_, bias_, fold_sum_;
  u16* c_;  // of the product
};

}  // namespace duet
