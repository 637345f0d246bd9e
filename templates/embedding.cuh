// The rows a tower starts from: token embeddings, a patch sequence with its class token, or raw patches. See
// embedding_config.h.
//
// A team of `warps_per_row` warps owns one output row; gather, position and layer norm happen in one pass over it.
#pragma once

#include "templates/common/grid_block.cuh"
#include "templates/common/row.cuh"
#include "templates/common/row_sums.cuh"
#include "templates/embedding_config.h"

namespace duet {

// ---- tokens and sequences: a row is one row of a matrix, plus optionally a position
struct EmbeddingRow {
  const void* matrix;
  int row;       // of the matrix
  int position;  // of the position table
};

DUET_DEVICE int clamp(int value, int low, int high) { return value < low ? low : value > high ? high : value; }

template <class Config>
DUET_DEVICE EmbeddingRow find_embedding_row(const EmbeddingParams& params, int index) {
  constexpr EmbeddingOp kOp = Config::value.op;
  const int item = index / params.tokens;
  const int token = index % params.tokens;
  if constexpr (kOp.source == EmbeddingSource::tokens) {
    const int id = static_cast<int>(ld_global_u32(params.ids + index));
    return {params.table, clamp(id, 0, params.vocabulary - 1), token};
  } else if constexpr (kOp.class_token) {
    if (token == 0) return {params.class_token, 0, token};
    return {params.x, item * (params.tokens - 1) + token - 1, token};
  } else {
    return {params.x, index, token};
  }
}

template <class Config>
struct EmbeddingRowSource {
  const EmbeddingParams& params;
  EmbeddingRow at;

  DUET_DEVICE Float8 load(int column) const {
    const Float8 x = load8<Config::value.op.dtype>(at.matrix, at.row, params.ld, column);
    if constexpr (!Config::value.op.position) return x;
    return add8(x, load8<Config::value.op.dtype>(params.position, at.position, params.ld, column));
  }
};

// ---- patches: a row is the pixels of one patch, each line of it padded to whole vectors
// `count` pixels (at most 8) from an address aligned to kBytes; the rest zero. `count` is a multiple of kBytes / 2.
template <Dtype kDtype, int kBytes>
DUET_DEVICE Float8 load_pixels(const unsigned char* src, int count) {
  if constexpr (kBytes == 16) return unpack8<kDtype>(ld_global_vec16(src));
  Vec16 bits{};
  DUET_UNROLL
  for (int i = 0; i < kVecElements; i += kBytes / 2) {
    if (i >= count) continue;
    if constexpr (kBytes == 4) {
      bits.word[i / 2] = ld_global_u32(src + 2 * i);
    } else {
      bits.word[i / 2] |= static_cast<u32>(ld_global_u16(src + 2 * i)) << (i % 2 * 16);
    }
  }
  return unpack8<kDtype>(bits);
}

template <class Config>
class PatchSource {
 public:
  DUET_DEVICE PatchSource(const EmbeddingParams& params, int index) : params_(params) {
    const int patches_per_line = params.image_w / params.patch;
    const int patch = index % params.tokens;
    first_channel_ = index / params.tokens * params.channels;
    y_ = patch / patches_per_line * params.patch;
    x_ = patch % patches_per_line * params.patch;
  }

  DUET_DEVICE Float8 load(int column) const {
    constexpr Dtype kDtype = Config::value.op.dtype;
    const int vectors_per_line = vectors_in(params_.patch);
    const int vector = column / kVecElements;
    const int line = vector / vectors_per_line;  // (channel, y) in the patch
    const int x = vector % vectors_per_line * kVecElements;
    const i64 channel = first_channel_ + line / params_.patch;
    const i64 image_line = channel * params_.image_h + y_ + line % params_.patch;
    const i64 pixel = image_line * params_.image_w + x_ + x;
    const unsigned char* src = static_cast<const unsigned char*>(params_.x) + pixel * 2;
    const int count = params_.patch - x;
    // The widest access that every line of every patch is aligned to: the same for the whole launch.
    const int alignment = params_.patch | params_.image_w;
    if (alignment % 8 == 0) return load_pixels<kDtype, 16>(src, count);
    if (alignment % 2 == 0) return load_pixels<kDtype, 4>(src, count);
    return load_pixels<kDtype, 2>(src, count);
  }

 private:
  const EmbeddingParams& params_;
  i64 first_channel_;
  int y_, x_;
};

// ---- a row of any source
// Writes finish(column, elements) and, where they are asked for, the sums of what it wrote.
template <class Config, class Team, class Row, class Finish>
DUET_DEVICE void write_finished_row(Team& team, const Row& row, const EmbeddingParams& params, int index,
                                    const Finish& finish) {
  constexpr bool kWritesSums = Config::value.op.writes_row_sums;  // named outside the lambda: NVRTC 13 refuses a struct
  RowSums sums{0.0f, 0.0f};
  store_row<Config::value.op.dtype>(team, row, params.out, index, params.ld, [&](int column, const Float8& x) {
    const Float8 y = finish(column, x);
    if constexpr (kWritesSums) {
      const Float8 inside = keep_first(y, params.columns - column, 0.0f);
      sums = add_row_sums(sums, RowSums{sum8(inside), dot8(inside, inside, 0.0f)});
    }
    return y;
  });
  if constexpr (kWritesSums) {
    const RowSums total{team.sum(sums.sum), team.sum(sums.sum_squares)};
    if (team.lane() == 0) store_row_sums(params.row_sums_out + 2 * static_cast<i64>(index), total);
  }
}

template <class Config, class Team, class Source>
DUET_DEVICE void write_embedding_row(Team& team, const Source& source, const EmbeddingParams& params, int index) {
  constexpr EmbeddingConfig kConfig = Config::value;
  const Row<Team, kConfig.tile.cached_vectors, Source> row(source, team.lane(), params.columns, 0.0f);
  if constexpr (kConfig.op.layer_norm) {
    const RowMoments moments = row_moments(team, row, params.epsilon);
    write_finished_row<Config>(team, row, params, index, [&](int column, const Float8& x) {
      return normalize8(x, moments, params.gamma, params.beta, column, params.columns);
    });
  } else {
    write_finished_row<Config>(team, row, params, index, [](int, const Float8& x) { return x; });
  }
}

template <class Config>
DUET_DEVICE void embedding(const EmbeddingParams& params, const GridBlock& block = launched_block()) {
  constexpr EmbeddingConfig kConfig = Config::value;
  static_assert(embedding_infeasible(kConfig) == nullptr, "infeasible EmbeddingConfig");
  wait_for_predecessor();
  release_successor();
  Team<kConfig.tile.warps_per_row, kConfig.tile.rows_per_block> team(smem_base());
  const int index = block.x * kConfig.tile.rows_per_block + team.index();
  if (index >= params.batch * params.tokens) return;
  if constexpr (kConfig.op.source == EmbeddingSource::patches) {
    write_embedding_row<Config>(team, PatchSource<Config>(params, index), params, index);
  } else {
    const EmbeddingRowSource<Config> source{params, find_embedding_row<Config>(params, index)};
    write_embedding_row<Config>(team, source, params, index);
  }
}

}  // namespace duet
