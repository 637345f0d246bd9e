// The attention family: softmax(scale Q K^T + mask) V in one kernel, for each image or text and each head.
// Queries, keys and values are (batch, tokens, heads * head_dim) views with their own row strides, so that one packed
// QKV product feeds all three. Sequences from 1 to a few thousand tokens; the whole head stays on one block.
#pragma once

#include "templates/device/types.h"

namespace duet {

struct AttentionOp {
  Dtype dtype = Dtype::f16;
  int head_dim = 64;  // a multiple of 8, at most 128
  AttentionMask mask = AttentionMask::none;
};

struct AttentionTile {
  int warps = 4;      // each owns 16 query rows
  int block_kv = 64;  // keys and values per step; a multiple of 16
  int stages = 2;     // cp.async buffers for K and V
};

struct AttentionConfig {
  AttentionOp op;
  AttentionTile tile;

  constexpr int threads() const { return tile.warps * 32; }
  constexpr int block_q() const { return tile.warps * 16; }
  constexpr int padded_head_dim() const { return round_up(op.head_dim, 16); }  // in shared memory, zero-filled
  constexpr int smem_bytes() const { return (block_q() + 2 * tile.stages * tile.block_kv) * padded_head_dim() * 2; }
};

// Grid: x = query blocks, y = heads, z = batch.
struct AttentionParams {
  const void* q;
  const void* k;
  const void* v;
  void* out;        // (batch, queries, heads * head_dim)
  const int* mask;  // (batch, keys), 1 = may be attended to; only for the padding masks
  int batch, heads, queries, keys;
  int ldq, ldk, ldv, ldo;  // elements between tokens
  i64 q_batch_stride, k_batch_stride, v_batch_stride, o_batch_stride;
  float scale;
};

}  // namespace duet
