// The head family: from a sequence to the embedding that leaves a tower, in one kernel.
//   row = pool(x[b]); row = layer_norm(row); y = W row + bias; out[b] = y / ||y||        each part but the first
//   optional
// Blocks share the columns of y; the last one to finish an image or text normalises it (fixed order, so deterministic).
#pragma once

#include "templates/device/types.h"

namespace duet {

struct HeadOp {
  Dtype dtype = Dtype::f16;      // of x and W
  Dtype out_dtype = Dtype::f32;  // f32 where the embedding leaves the model, else dtype
  PoolKind pool = PoolKind::first;
  bool layer_norm = false;
  bool project = false;
  bool bias = false;  // only with project
  bool normalize = false;
};

struct HeadTile {
  int warps = 8;
  int columns_per_block = 64;  // of y; with project only
};

struct HeadConfig {
  HeadOp op;
  HeadTile tile;
  static constexpr int kMaxColumns = 2048;  // of x: the pooled row waits in shared memory as fp32

  constexpr int threads() const { return tile.warps * 32; }
  constexpr int smem_bytes() const { return kMaxColumns * 4 + tile.warps * 2 * 4 + 16; }
};

// Grid: x = column blocks (1 without project), y = batch.
struct HeadParams {
  const void* x;       // (batch, tokens, columns), leading dimension ldx
  const int* ids;      // (batch, tokens): eot only
  const float* gamma;  // (columns)
  const float* beta;   // (columns)
  const void* weight;  // (outputs, columns), leading dimension ldw
  const float* bias;   // (outputs)
  void* out;           // (batch, outputs or columns), leading dimension ldo; padding columns are written as zero
  float* workspace;    // normalize with project: (batch, outputs) fp32
  u32* counters;       // normalize with project: (batch), zero before and after the launch
  int batch, tokens, columns, outputs;
  int ldx, ldw, ldo;
  int eot_token;
  float epsilon;
};

}  // namespace duet
