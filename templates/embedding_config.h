// The embedding family: assembles the rows a tower starts from.
//   tokens:   out[b, t] = table[ids[b, t]]                         (+ position[t]) (then layer norm)
//   sequence: out[b, t] = t == 0 ? class_token : x[b, t - 1]       (+ position[t]) (then layer norm)
//             without a class token: out[b, t] = x[b, t]
//   patches:  out[b * patches + p, (channel, y, x)] = image patch  (no position, no norm): the unfused patch extraction
#pragma once

#include "templates/device/types.h"

namespace duet {

enum class EmbeddingSource : int { tokens = 0, sequence = 1, patches = 2 };

struct EmbeddingOp {
  Dtype dtype = Dtype::f16;
  EmbeddingSource source = EmbeddingSource::tokens;
  bool class_token = false;
  bool position = false;
  bool layer_norm = false;
  bool writes_row_sums = false;  // the sums and sums of squares of `out`'s rows, for the layer norm that follows
};

struct EmbeddingTile {
  int warps_per_row = 1;
  int rows_per_block = 4;
  int cached_vectors = 4;  // 8 elements each that a lane keeps in registers; the rest of a row is read on each pass
};

struct EmbeddingConfig {
  EmbeddingOp op;
  EmbeddingTile tile;

  constexpr int threads() const { return tile.warps_per_row * tile.rows_per_block * 32; }
  constexpr int smem_bytes() const { return tile.rows_per_block * tile.warps_per_row * 2 * 4 + 16; }
};

// Why a configuration cannot be built, or nullptr.
constexpr const char* embedding_infeasible(const EmbeddingConfig& config) {
  const EmbeddingOp& op = config.op;
  const EmbeddingTile& tile = config.tile;
  if (op.dtype != Dtype::f16 && op.dtype != Dtype::bf16) return "elements must be f16 or bf16";
  if (op.class_token && op.source != EmbeddingSource::sequence) return "only a sequence takes a class token";
  if (op.source == EmbeddingSource::patches && (op.position || op.layer_norm || op.writes_row_sums))
    return "patches take no position or norm";
  if (tile.warps_per_row < 1 || tile.rows_per_block < 1) return "warps_per_row and rows_per_block must be at least 1";
  if (tile.warps_per_row > 32 || tile.rows_per_block > 32 || config.threads() > 1024) return "more than 1024 threads";
  if (tile.warps_per_row > 1 && tile.rows_per_block > 15) return "more than 15 named barriers";
  if (tile.cached_vectors < 0 || tile.cached_vectors > 8) return "cached_vectors must be 0 to 8";
  // A quarter of the register file for the row: more spills somewhere from sm_80 to sm_110.
  if (tile.cached_vectors * config.threads() > 2048) return "cached vectors need more registers than a block has";
  return nullptr;
}

constexpr Grid3 embedding_grid(const EmbeddingConfig& config, int batch, int tokens) {
  return Grid3{ceil_div(batch * tokens, config.tile.rows_per_block), 1, 1};
}

// All 16-bit matrices have leading dimension `ld` (out, x, table, position), except
// the image, which has none. Padding columns of `out` are written as zero.
struct EmbeddingParams {
  const int* ids;           // (batch, tokens); a value outside the vocabulary reads the nearest valid row
  const void* x;            // sequence: (batch, tokens - class_token, columns); patches: the image
  const void* table;        // (vocabulary, columns)
  const void* class_token;  // (columns)
  const void* position;     // (tokens, columns)
  const float* gamma;
  const float* beta;
  void* out;
  float* row_sums_out;                         // (batch * tokens) pairs
  int batch, tokens, columns, ld, vocabulary;  // tokens: of `out`; patches: the patches of an image
  float epsilon;
  int channels, image_h, image_w, patch;  // patches: columns = channels * patch * round_up(patch, 8)
};

}  // namespace duet
