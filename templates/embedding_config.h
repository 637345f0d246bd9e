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
};

struct EmbeddingTile {
  int warps_per_row = 1;
  int rows_per_block = 4;
};

struct EmbeddingConfig {
  EmbeddingOp op;
  EmbeddingTile tile;

  constexpr int threads() const { return tile.warps_per_row * tile.rows_per_block * 32; }
  constexpr int smem_bytes() const { return tile.rows_per_block * tile.warps_per_row * 2 * 4 + 16; }
};

// Grid: x = row blocks over batch * tokens. All 16-bit matrices have leading dimension `ld` (out, x, table, position).
struct EmbeddingParams {
  const int* ids;           // (batch, tokens); a value outside the vocabulary reads the nearest valid row
  const void* x;            // sequence: (batch, tokens - class_token, columns); patches: the image
  const void* table;        // (vocabulary, columns)
  const void* class_token;  // (columns)
  const void* position;     // (tokens, columns)
  const float* gamma;
  const float* beta;
  void* out;
  int batch, tokens, columns, ld, vocabulary;
  float epsilon;
  int channels, image_h, image_w, patch;  // patches: columns = channels * patch * round_up(patch, 8)
};

}  // namespace duet
