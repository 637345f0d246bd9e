// One row spread over a team of warps: how the row families (norm, embedding, head) hold and reduce it.
//
// A `Source` says where the elements come from:
//   Float8 load(int column) const;   // 8 elements of the row; those past the end may be anything
#pragma once

#include "templates/common/reduce.cuh"
#include "templates/common/vec.cuh"

namespace duet {

// Lane l holds vectors l, l + lanes, l + 2 lanes, ... so that a team reads contiguous memory. Its first kCached vectors
// stay in registers; those of longer rows are read again (from L1 or L2) on each pass. Elements past the end read as
// `fill`.
template <class Team, int kCached, class Source>
class Row {
 public:
  // All loads are issued before the first is used: lanes past the end read the last vector instead of branching.
  DUET_DEVICE Row(const Source& source, int lane, int columns, float fill)
      : source_(source), lane_(lane), columns_(columns), fill_(fill) {
    const int last = (vectors_in(columns) - 1) * kVecElements;
    DUET_UNROLL
    for (int i = 0; i < kCached; ++i) cached_[i] = source.load(column_of(i) < last ? column_of(i) : last);
    DUET_UNROLL
    for (int i = 0; i < kCached; ++i) cached_[i] = keep_first(cached_[i], columns - column_of(i), fill);
  }

  DUET_DEVICE int columns() const { return columns_; }
  DUET_DEVICE int lane() const { return lane_; }

  // visit(column, Float8) for each of this lane's vectors.
  template <class Visit>
  DUET_DEVICE void for_each(const Visit& visit) const {
    DUET_UNROLL
    for (int i = 0; i < kCached; ++i) {
      if (column_of(i) < columns_) visit(column_of(i), cached_[i]);
    }
    DUET_NO_UNROLL
    for (int column = column_of(kCached); column < columns_; column += Team::kThreads * kVecElements) {
      visit(column, keep_first(source_.load(column), columns_ - column, fill_));
    }
  }

 private:
  DUET_DEVICE int column_of(int i) const { return (lane_ + i * Team::kThreads) * kVecElements; }

  const Source& source_;
  int lane_;
  int columns_;
  float fill_;
  Float8 cached_[kCached > 0 ? kCached : 1];
};

// y = (x - mean) * rstd
struct RowMoments {
  float mean, rstd;
};

// The variance is the mean of squared deviations from the mean, in a second pass: sum x^2 - mean^2 loses all its digits
// where |mean| is much larger than the deviation, as in the residual stream of a deep tower.
template <class Team, class Row>
DUET_DEVICE RowMoments row_moments(Team& team, const Row& row, float epsilon) {
  const float inverse_columns = 1.0f / static_cast<float>(row.columns());
  float sum = 0.0f;
  row.for_each([&](int, const Float8& x) { sum += sum8(x); });
  const float mean = team.sum(sum) * inverse_columns;

  float squares = 0.0f;
  row.for_each([&](int column, const Float8& x) {
    const Float8 deviation = keep_first(add8(x, splat8(-mean)), row.columns() - column, 0.0f);
    squares = dot8(deviation, deviation, squares);
  });
  const float variance = team.sum(squares) * inverse_columns;
  return {mean, rsqrt_approx(variance + epsilon)};
}

// 1 / ||row||, with the norm of a row of zeros taken as 1e-12: it stays zero instead of turning into NaN.
template <class Team, class Row>
DUET_DEVICE float inverse_l2_norm(Team& team, const Row& row) {
  constexpr float kSmallestSquare = 1e-24f;
  float squares = 0.0f;
  row.for_each([&](int, const Float8& x) { squares = dot8(x, x, squares); });
  return rsqrt_approx(max_f32(team.sum(squares), kSmallestSquare));
}

DUET_DEVICE Float8 normalize8(const Float8& x, RowMoments moments, const float* gamma, const float* beta, int column,
                              int columns) {
  const Float8 scale = load8_vector(gamma, column, columns);
  const Float8 shift = load8_vector(beta, column, columns);
  Float8 result;
  DUET_UNROLL
  for (int i = 0; i < kVecElements; ++i) {
    result.v[i] = fused_multiply_add((x.v[i] - moments.mean) * moments.rstd, scale.v[i], shift.v[i]);
  }
  return result;  // zero past the end, where gamma and beta read as zero
}

// Writes finish(column, Float8) for each vector of the row, and zeros in the padding.
template <Dtype kDtype, class Team, class Row, class Finish>
DUET_DEVICE void store_row(const Team& team, const Row& row, void* out, int out_row, int ldo, const Finish& finish) {
  row.for_each([&](int column, const Float8& x) {
    const Float8 y = keep_first(finish(column, x), row.columns() - column, 0.0f);
    store8<kDtype>(out, out_row, ldo, column, y);
  });
  store_zero_padding<kDtype>(out, out_row, ldo, vectors_in(row.columns()) * kVecElements, team.lane(), Team::kThreads);
}

}  // namespace duet
