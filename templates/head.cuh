// From a sequence to an embedding: pool, layer norm, projection, L2 normalisation. See head_config.h.
//
// Each block of a batch row repeats pool and norm (one row of L2 traffic, cheaper than a second launch), keeps the
// result in shared memory as fp32, and computes its share of the columns of y. Where y is also normalised, blocks leave
// it in the workspace and the last one to arrive finishes the row, in an order that does not depend on who is last.
#pragma once

#include "templates/common/arrive.cuh"
#include "templates/common/grid_block.cuh"
#include "templates/common/row.cuh"
#include "templates/head_config.h"

namespace duet {

// ---- pool
// The first position that holds the end-of-text token, or 0. Every warp searches for itself: no barrier needed.
DUET_DEVICE int find_end_of_text(const HeadParams& params, int item) {
  const int* ids = params.ids + static_cast<i64>(item) * params.tokens;
  u32 found = static_cast<u32>(params.tokens);
  DUET_NO_UNROLL
  for (int token = thread_index() % 32; token < params.tokens; token += 32) {
    if (static_cast<int>(ld_global_u32(ids + token)) == params.eot_token && static_cast<u32>(token) < found) {
      found = static_cast<u32>(token);
    }
  }
  const int first = static_cast<int>(warp_min(found));
  return first < params.tokens ? first : 0;
}

template <PoolKind kPool>
DUET_DEVICE int find_pooled_token(const HeadParams& params, int item) {
  if constexpr (kPool == PoolKind::eot) return find_end_of_text(params, item);
  if constexpr (kPool == PoolKind::last) return params.tokens - 1;
  return 0;  // first; of a mean, where it starts
}

template <class Config>
struct PooledSource {
  const HeadParams& params;
  int row;  // of x: the pooled token, or the first of those to average

  DUET_DEVICE Float8 load(int column) const {
    constexpr Dtype kDtype = Config::value.op.dtype;
    Float8 x = load8<kDtype>(params.x, row, params.ldx, column);
    if constexpr (Config::value.op.pool == PoolKind::mean) {
      for (int i = 1; i < params.tokens; ++i) x = add8(x, load8<kDtype>(params.x, row + i, params.ldx, column));
      x = scale8(x, 1.0f / static_cast<float>(params.tokens));
    }
    return x;
  }
};

// ---- the pooled row in shared memory
// The two halves of a vector lie in separate planes: neighbouring lanes then touch neighbouring 16-byte words, where
// 32-byte vectors side by side would cost a two-way bank conflict on each access.
struct SharedRow {
  static constexpr SmemAddr kPlaneBytes = HeadConfig::kMaxColumns * 2;
  SmemAddr base;

  DUET_DEVICE SmemAddr address(int column) const { return base + static_cast<u32>(column) * 2; }
  DUET_DEVICE Float8 load(int column) const {
    return join8(ld_shared_vec16(address(column)), ld_shared_vec16(address(column) + kPlaneBytes));
  }
  DUET_DEVICE void store(int column, const Float8& x) const {
    st_shared_vec16(address(column), half8(x, 0));
    st_shared_vec16(address(column) + kPlaneBytes, half8(x, 4));
  }
};

// Vectors of the longest row that fall to one lane: the whole pooled row is in registers until its statistics are
// known.
template <class Config>
constexpr int kPooledVectors =
    (HeadConfig::kMaxColumns / kVecElements + Config::value.threads() - 1) / Config::value.threads();

template <class Config, class Team>
DUET_DEVICE void pool_row(Team& team, const HeadParams& params, int item, const SharedRow& shared) {
  const int token = find_pooled_token<Config::value.op.pool>(params, item);
  const PooledSource<Config> source{params, item * params.tokens + token};
  const Row<Team, kPooledVectors<Config>, PooledSource<Config>> row(source, team.lane(), params.columns, 0.0f);
  if constexpr (Config::value.op.layer_norm) {
    const RowMoments moments = row_moments(team, row, params.epsilon);
    row.for_each([&](int column, const Float8& x) {
      shared.store(column, normalize8(x, moments, params.gamma, params.beta, column, params.columns));
    });
  } else {
    row.for_each([&](int column, const Float8& x) { shared.store(column, x); });
  }
}

// ---- projection
// y[c] for kCount neighbouring columns, the same in every lane. Columns past the end repeat the last one.
template <class Config, int kCount>
DUET_DEVICE void project_columns(float (&y)[kCount], const HeadParams& params, const SharedRow& row, int first,
                                 int lane) {
  constexpr Dtype kDtype = Config::value.op.dtype;
  int rows[kCount];
  DUET_UNROLL
  for (int i = 0; i < kCount; ++i) {
    rows[i] = first + i < params.outputs ? first + i : params.outputs - 1;
    y[i] = 0.0f;
  }
  DUET_NO_UNROLL
  for (int column = lane * kVecElements; column < params.columns; column += 32 * kVecElements) {
    Vec16 weights[kCount];
    DUET_UNROLL
    for (int i = 0; i < kCount; ++i) {
      weights[i] = ld_global_vec16(address_of<kDtype>(params.weight, rows[i], params.ldw, column));
    }
    const Float8 x = row.load(column);
    DUET_UNROLL
    for (int i = 0; i < kCount; ++i) {
      y[i] = dot8(x, keep_first(unpack8<kDtype>(weights[i]), params.columns - column, 0.0f), y[i]);
    }
  }
  DUET_UNROLL
  for (int i = 0; i < kCount; ++i) {
    y[i] = warp_reduce(y[i], Sum{});
    if constexpr (Config::value.op.bias) y[i] += load_f32(params.bias + rows[i]);
  }
}

// Lane i takes over column first + i: one coalesced store instead of kCount.
template <class Config, int kCount>
DUET_DEVICE void store_columns(const float (&y)[kCount], const HeadParams& params, int item, int first, int lane) {
  float mine = 0.0f;
  DUET_UNROLL
  for (int i = 0; i < kCount; ++i) mine = lane == i ? y[i] : mine;
  const int column = first + lane;
  if (lane >= kCount || column >= params.outputs) return;
  if constexpr (Config::value.shares_row()) {
    store1<Dtype::f32>(params.workspace, item, head_workspace_ld(params.outputs), column, mine);
  } else {
    store1<Config::value.op.out_dtype>(params.out, item, params.ldo, column, mine);
  }
}

template <class Config>
DUET_DEVICE void project_block(const HeadParams& params, const GridBlock& block, int item, const SharedRow& row) {
  constexpr HeadConfig kConfig = Config::value;
  constexpr int kCount = kConfig.columns_in_flight();
  const int lane = thread_index() % 32;
  const int warp = thread_index() / 32;
  const int begin = block.x * kConfig.tile.columns_per_block + warp * kConfig.columns_per_warp();
  DUET_NO_UNROLL
  for (int i = 0; i < kConfig.columns_per_warp(); i += kCount) {
    if (begin + i >= params.outputs) return;
    float y[kCount];
    project_columns<Config>(y, params, row, begin + i, lane);
    store_columns<Config>(y, params, item, begin + i, lane);
  }
}

// ---- output
// Writes a whole row of `columns` elements, normalised if the head asks for it.
template <class Config, class Team, class Source>
DUET_DEVICE void store_output(Team& team, const Source& source, const HeadParams& params, int item, int columns) {
  constexpr Dtype kOutDtype = Config::value.op.out_dtype;
  const Row<Team, 0, Source> row(source, team.lane(), columns, 0.0f);
  const float scale = Config::value.op.normalize ? inverse_l2_norm(team, row) : 1.0f;
  store_row<kOutDtype>(team, row, params.out, item, params.ldo, [&](int, const Float8& y) { return scale8(y, scale); });
}

struct WorkspaceSource {
  const float* y;

  DUET_DEVICE Float8 load(int column) const {
    return join8(ld_global_coherent_vec16(y + column), ld_global_coherent_vec16(y + column + 4));
  }
};

template <class Config, class Team>
DUET_DEVICE void finish_shared_row(Team& team, const HeadParams& params, const GridBlock& block, int item,
                                   SmemAddr flag) {
  if (!arrive_last(params.counters + item, block.grid_x, flag, [&] { team.sync(); })) return;
  const WorkspaceSource source{params.workspace + static_cast<i64>(item) * head_workspace_ld(params.outputs)};
  store_output<Config>(team, source, params, item, params.outputs);
}

// y went straight to `out`, whose elements it shares with no other block; the last column block adds the padding.
template <class Config>
DUET_DEVICE void store_head_padding(const HeadParams& params, const GridBlock& block, int item) {
  if (block.x + 1 != block.grid_x) return;
  for (int column = params.outputs + thread_index(); column < params.ldo; column += Config::value.threads()) {
    store1<Config::value.op.out_dtype>(params.out, item, params.ldo, column, 0.0f);
  }
}

template <class Config>
DUET_DEVICE void head(const HeadParams& params, const GridBlock& block = launched_block()) {
  constexpr HeadConfig kConfig = Config::value;
  static_assert(head_infeasible(kConfig) == nullptr, "infeasible HeadConfig");
  using BlockTeam = Team<kConfig.tile.warps, 1>;
  constexpr SmemAddr kRowBytes = HeadConfig::kMaxColumns * 4;

  wait_for_predecessor();
  release_successor();
  const SharedRow row{smem_base()};
  BlockTeam team(smem_base() + kRowBytes);
  const int item = block.y;
  pool_row<Config>(team, params, item, row);
  if constexpr (kConfig.op.project) {
    team.sync();
    project_block<Config>(params, block, item, row);
    if constexpr (kConfig.shares_row()) {
      finish_shared_row<Config>(team, params, block, item, smem_base() + kRowBytes + BlockTeam::kSmemBytes);
    } else {
      store_head_padding<Config>(params, block, item);
    }
  } else {
    store_output<Config>(team, row, params, item, params.columns);  // each lane reads back what it wrote: no barrier
  }
}

}  // namespace duet
