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
  // The pooled row, the reductions' scratch, and the word that tells a block whether it came last.
  constexpr int smem_bytes() const { return kMaxColumns * 4 + tile.warps * 2 * 4 + 16; }
  constexpr bool shares_row() const { return op.project && op.normalize; }  // blocks meet in workspace and counters
  constexpr int columns_per_warp() const { return tile.columns_per_block / tile.warps; }
  // Rows of W that a warp reads at a time: enough loads in flight to cover the latency of a matrix seen only once. Four
  // where a block is so large that eight would spill.
  constexpr int columns_in_flight() const {
    const int most = tile.warps > 16 ? 4 : 8;
    return columns_per_warp() % most == 0 ? most
           : columns_per_warp() % 4 == 0  ? 4
           : columns_per_warp() % 2 == 0  ? 2
                                          : 1;
  }
};

// Why a configuration cannot be built, or cannot take rows of `columns` elements, or nullptr.
constexpr const char* head_infeasible(const HeadConfig& config, int columns = HeadConfig::kMaxColumns) {
  const HeadOp& op = config.op;
  const HeadTile& tile = config.tile;
  if (op.dtype != Dtype::f16 && op.dtype != Dtype::bf16) return "elements must be f16 or bf16";
  if (op.out_dtype == Dtype::i32) return "out must be floating point";
  if (op.bias && !op.project) return "bias needs a projection";
  if (tile.warps < 1 || tile.warps > 32) return "warps must be 1 to 32";
  if (op.project && (tile.columns_per_block < 1 || tile.columns_per_block % tile.warps != 0))
    return "columns_per_block must be a multiple of warps";
  if (columns < 1 || columns > HeadConfig::kMaxColumns) return "a row does not fit shared memory";
  return nullptr;
}

// x = column blocks of y (1 without project), y = batch.
constexpr Grid3 head_grid(const HeadConfig& config, int batch, int outputs) {
  return Grid3{config.op.project ? ceil_div(outputs, config.tile.columns_per_block) : 1, batch, 1};
}

// Leading dimension of the fp32 rows of y that blocks leave in the workspace.
constexpr int head_workspace_ld(int outputs) { return round_up(outputs, 8); }
constexpr i64 head_workspace_bytes(const HeadConfig& config, int batch, int outputs) {
  return config.shares_row() ? static_cast<i64>(batch) * head_workspace_ld(outputs) * 4 : 0;
}
constexpr int head_counter_count(const HeadConfig& config, int batch) { return config.shares_row() ? batch : 0; }

struct HeadParams {
  const void* x;       // (batch, tokens, columns), leading dimension ldx
  const int* ids;      // (batch, tokens): eot only
  const float* gamma;  // (columns)
  const float* beta;   // (columns)
  const void* weight;  // (outputs, columns), leading dimension ldw
  const float* bias;   // (outputs)
  void* out;           // (batch, outputs or columns), leading dimension ldo; padding columns are written as zero
  float* workspace;    // normalize with project: (batch, outputs) fp32, see head_workspace_bytes
  u32* counters;       // normalize with project: (batch), zero before and after the launch
  int batch, tokens, columns, outputs;
  int ldx, ldw, ldo;
  int eot_token;
  float epsilon;
};

}  // namespace duet
