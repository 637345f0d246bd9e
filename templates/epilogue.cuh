// What happens to fp32 sums on their way to C: folded layer norm, bias, activation, residual, and one rounding.
#pragma once

#include "templates/common/gemm_block.cuh"
#include "templates/common/math.cuh"
#include "templates/common/quad.cuh"
#include "templates/common/row_statistics.cuh"
#include "templates/common/tile_groups.cuh"
#include "templates/common/written_row_sums.cuh"

namespace duet {

// Mean and rstd of the rows that a lane holds.
template <class Shape>
struct RowNorms {
  RowNorm of[Shape::kM][2];  // (fragment, half)

  // Selects rather than indexes, so that registers hold them where `i` is known at run time only.
  DUET_DEVICE RowNorm at(int i, int half) const {
    RowNorm norm = of[0][half];
    DUET_UNROLL
    for (int other = 1; other < Shape::kM; ++other) {
      norm.mean = i == other ? of[other][half].mean : norm.mean;
      norm.rstd = i == other ? of[other][half].rstd : norm.rstd;
    }
    return norm;
  }
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
        fold_sum_(smem + Shape::kConfig.fold_sum_offset()) {}

  // Start copying what is needed at the end only: a cold miss there would be waited for by a kernel that has nothing
  // else left to do. Bias and fold_sum are weights; the residual is written by an earlier kernel.
  DUET_DEVICE void prefetch_columns() const {
    if constexpr (Shape::kOp.bias) copy_columns(bias_, params_.bias);
    if constexpr (Shape::kOp.layer_norm) copy_columns(fold_sum_, params_.fold_sum);
  }
  DUET_DEVICE void prefetch_residual() const {
    if constexpr (Shape::kOp.residual) {
      for_each_group<Shape>(place_, [&](const Group& group) { copy_residual(group); });
    }
  }

  // The norms of this lane's rows; sums_of(row) gives a row's sums over all of k.
  template <class SumsOf>
  DUET_DEVICE RowNorms<Shape> norms(SumsOf sums_of) const {
    RowNorms<Shape> norms = {};
    if constexpr (Shape::kOp.layer_norm) {
      DUET_UNROLL
      for (int i = 0; i < Shape::kM; ++i) {
        DUET_UNROLL
        for (int half = 0; half < 2; ++half) {
          const RowSums sums = sums_of(Group::row(place_, i, half));
          norms.of[i][half] = row_norm(sums, params_.k, params_.layer_norm_epsilon);
        }
      }
    }
    return norms;
  }

  // Writes C of a group from its sums, and adds it to the rows' sums. By all lanes.
  DUET_DEVICE void finish(const Group& group, Float8 x, const RowNorms<Shape>& norms,
                          WrittenRowSums<Shape>& row_sums) const {
    if constexpr (Shape::kOp.layer_norm) normalise(group, x, norms);
    if constexpr (Shape::kOp.bias) add_bias(group, x);
    DUET_UNROLL
    for (int e = 0; e < kVecElements; ++e) x.v[e] = activate<Shape::kOp.activation>(x.v[e]);
    if constexpr (Shape::kOp.residual) x = add8(x, unpack8<Shape::kDtype>(residual_of(group)));
    // Only the last tile of a row has columns beyond C, which are written as zeros.
    if (place_.column0 + Shape::kBlockN > params_.n) clear_beyond(group, x);
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

  DUET_DEVICE void normalise(const Group& group, Float8& x, const RowNorms<Shape>& norms) const {
    float fold_sum[2][2] = {};
    load_columns(fold_sum, fold_sum_, group);
    for_each_element([&](int e, int half, int side, int column) {
      const RowNorm norm = norms.at(group.i(), half);
      x.v[e] = norm.rstd * fused_multiply_add(-norm.mean, fold_sum[side][column], x.v[e]);
    });
  }

  DUET_DEVICE void add_bias(const Group& group, Float8& x) const {
    float bias[2][2] = {};
    load_columns(bias, bias_, group);
    for_each_element([&](int e, int, int side, int column) { x.v[e] += bias[side][column]; });
  }

  DUET_DEVICE void clear_beyond(const Group& group, Float8& x) const {
    for_each_element([&](int e, int, int side, int column) {
      if (place_.column0 + group.column(place_, side) + column >= params_.n) x.v[e] = 0.0f;
    });
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
  DUET_DEVICE void copy_residual(const Group& group) const {
    const int column = place_.column0 + group.chunk_column(place_);
    int row = place_.row0 + group.chunk_row(place_);
    const bool valid = group.has_chunk(place_) && row < params_.m && column < params_.n;
    if (row >= params_.residual_rows) row %= params_.residual_rows;  // a table shared by the images of a batch
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
    if (!group.has_chunk(place_) || row >= params_.m || column >= params_.n) return;
    u16* c = static_cast<u16*>(params_.c) +
             batch_offset(params_, place_.batch, params_.c_stride_outer, params_.c_stride_inner);
    st_global_vec16(c + static_cast<i64>(row) * params_.ldc + column, chunk);
  }

  const GemmParams& params_;
  const GemmPlace& place_;
  SmemAddr residual_, bias_, fold_sum_;
};

}  // namespace duet
