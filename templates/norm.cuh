// out = layer_norm(x), x / ||x|| or softmax(x), row by row, optionally of x + residual with the sum kept: see
// norm_config.h.
//
// A team of `warps_per_row` warps owns one row. Arithmetic is fp32; the sum x + residual is normalised before it is
// rounded.
#pragma once

#include "templates/common/grid_block.cuh"
#include "templates/common/math.cuh"
#include "templates/common/row.cuh"
#include "templates/norm_config.h"

namespace duet {

template <class Config>
struct NormSource {
  const NormParams& params;
  int row;

  DUET_DEVICE Float8 load(int column) const {
    const Float8 x = load8<Config::value.op.dtype>(params.x, row, params.ldx, column);
    if constexpr (!Config::value.op.residual) return x;
    return add8(x, load8<Config::value.op.dtype>(params.residual, row, params.ldr, column));
  }
};

template <Dtype kOutDtype, class Team, class Row>
DUET_DEVICE void layer_norm_row(Team& team, const Row& row, const NormParams& params, int index) {
  const RowMoments moments = row_moments(team, row, params.epsilon);
  store_row<kOutDtype>(team, row, params.out, index, params.ldo, [&](int column, const Float8& x) {
    return normalize8(x, moments, params.gamma, params.beta, column, params.columns);
  });
}

template <Dtype kOutDtype, class Team, class Row>
DUET_DEVICE void l2_normalize_row(Team& team, const Row& row, const NormParams& params, int index) {
  const float scale = inverse_l2_norm(team, row);
  store_row<kOutDtype>(team, row, params.out, index, params.ldo,
                       [&](int, const Float8& x) { return scale8(x, scale); });
}

DUET_DEVICE Float8 exp8(const Float8& x, float shift) {
  Float8 result;
  DUET_UNROLL
  for (int i = 0; i < kVecElements; ++i) result.v[i] = exp_approx(x.v[i] - shift);
  return result;
}

// A row that is masked throughout (only -inf) attends to nothing: zeros, where -inf - -inf would give NaN.
template <Dtype kOutDtype, class Team, class Row>
DUET_DEVICE void softmax_row(Team& team, const Row& row, const NormParams& params, int index) {
  float largest = minus_infinity();
  row.for_each([&](int, const Float8& x) { largest = max_f32(largest, max8(x)); });
  largest = team.max(largest);
  const float shift = largest == minus_infinity() ? 0.0f : largest;

  float sum = 0.0f;
  row.for_each([&](int, const Float8& x) { sum += sum8(exp8(x, shift)); });
  sum = team.sum(sum);
  const float scale = sum == 0.0f ? 0.0f : 1.0f / sum;  // a NaN in the row stays visible
  store_row<kOutDtype>(team, row, params.out, index, params.ldo,
                       [&](int, const Float8& x) { return scale8(exp8(x, shift), scale); });
}

template <class Config>
DUET_DEVICE void norm(const NormParams& params, const GridBlock& block = launched_block()) {
  constexpr NormConfig kConfig = Config::value;
  constexpr RowFunction kFunction = kConfig.op.function;
  static_assert(norm_infeasible(kConfig) == nullptr, "infeasible NormConfig");
  using RowTeam = Team<kConfig.tile.warps_per_row, kConfig.tile.rows_per_block>;

  wait_for_predecessor();
  release_successor();
  RowTeam team(smem_base());
  const int index = block.x * kConfig.tile.rows_per_block + team.index();
  if (index >= params.rows) return;

  const NormSource<Config> source{params, index};
  const float fill = kFunction == RowFunction::softmax ? minus_infinity() : 0.0f;
  const Row<RowTeam, kConfig.tile.cached_vectors, NormSource<Config>> row(source, team.lane(), params.columns, fill);
  if constexpr (kConfig.op.residual) {
    store_row<kConfig.op.dtype>(team, row, params.sum, index, params.lds, [](int, const Float8& x) { return x; });
  }
  if constexpr (kFunction == RowFunction::layer_norm) {
    layer_norm_row<kConfig.op.out_dtype>(team, row, params, index);
  } else if constexpr (kFunction == RowFunction::l2_normalize) {
    l2_normalize_row<kConfig.op.out_dtype>(team, row, params, index);
  } else {
    softmax_row<kConfig.op.out_dtype>(team, row, params, index);
  }
}

}  // namespace duet
