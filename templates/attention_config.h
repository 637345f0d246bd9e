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
  int warps = 4;       // of a set, each with 16 query rows of its own
  int block_kv = 64;   // keys and values per step
  int stages = 2;      // cp.async buffers for K and V
  int warps_kv = 1;    // sets of such warps, which share the keys of every step
  int min_blocks = 1;  // for which the compiler leaves registers on an SM
};

struct AttentionConfig {
  AttentionOp op;
  AttentionTile tile;

  constexpr int threads() const { return tile.warps * tile.warps_kv * 32; }
  constexpr int block_q() const { return tile.warps * 16; }
  constexpr int warp_kv() const { return tile.block_kv / tile.warps_kv; }
  constexpr int padded_head_dim() const { return round_up(op.head_dim, 16); }  // in shared memory, zero-filled
  constexpr bool causal() const { return op.mask == AttentionMask::causal || op.mask == AttentionMask::causal_padding; }
  constexpr bool padding() const {
    return op.mask == AttentionMask::padding || op.mask == AttentionMask::causal_padding;
  }

  // Places of a thread's copies, which the compiler keeps through the loop: one register each, and where a row is no
  // power of two vectors, so that they have no common stride, about 3 registers each (ptxas 13.0, sm_87, head_dim 72:
  // one warp spills at block_kv 80, three at 128).
  constexpr int copy_registers() const {
    const int vectors = op.head_dim / 8;
    return ((vectors & (vectors - 1)) == 0 ? 1 : 3) * tile.block_kv * vectors / threads();
  }
  // Upper bound for a kernel that does not spill: Q, O, S, P, a step's operands, and 62 for addresses and row state. Of
  // 458 compiled for sm_87 and sm_110, the 14 that spilled are above it; of 152 below it none spills.
  constexpr int register_estimate() const {
    const int d = padded_head_dim();
    return d / 4 + d / 2 + warp_kv() / 2 + warp_kv() / 4 + (d > warp_kv() ? d : warp_kv()) / 4 + 62 +
           (padding() ? 12 : 0) + copy_registers();
  }
  // A block's warps are dealt out to the four partitions of an SM, with a fourth of the registers each.
  constexpr bool registers_fit(int registers) const {
    return registers <= 255 && registers * 32 * ceil_div(threads(), 128) <= 65536 / 4;
  }
  // Of a thread, where as many blocks are to run on an SM.
  constexpr int register_limit() const {
    const int registers = 65536 / (tile.min_blocks * threads());
    return registers > 255 ? 255 : registers;
  }
  // Whether a warp has registers for the next step's scores too: tensor cores then work on them while the softmax of
  // this step's is computed, which otherwise wait for each other.
  constexpr bool scores_ahead() const { return registers_fit(register_estimate() + warp_kv() / 2); }

  // ---- shared memory, in this order: queries (then the output on its way out), stages of K, V and mask
  constexpr int q_bytes() const { return block_q() * padded_head_dim() * 2; }
  constexpr int kv_bytes() const { return tile.block_kv * padded_head_dim() * 2; }  // of K, and of V
  constexpr int mask_bytes() const { return padding() ? tile.block_kv * 4 : 0; }
  constexpr int stage_bytes() const { return 2 * kv_bytes() + mask_bytes(); }
  // Where sets share the keys, all but the first leave O, maxima and sums for the first, in the place of the stages.
  constexpr int exchange_vectors() const { return padded_head_dim() / 8 + 1; }  // of 16 bytes, by a thread
  constexpr int exchange_bytes() const { return (tile.warps_kv - 1) * tile.warps * 32 * exchange_vectors() * 16; }
  constexpr int smem_bytes() const {
    const int stages = tile.stages * stage_bytes();
    return q_bytes() + (stages > exchange_bytes() ? stages : exchange_bytes());
  }
};

// What a configuration must satisfy whatever the device; see DUET_GEMM_RULES.
#define DUET_ATTENTION_RULES(c, RULE)                                                                               \
  RULE((c).op.dtype == Dtype::f16 || (c).op.dtype == Dtype::bf16, "dtype must be f16 or bf16")                      \
  RULE((c).op.head_dim >= 8 && (c).op.head_dim <= 128 && (c).op.head_dim % 8 == 0,                                  \
       "head_dim must be a multiple of 8 from 8 to 128")                                                            \
  RULE((c).tile.warps >= 1 && (c).tile.warps_kv >= 1 && (c).tile.warps * (c).tile.warps_kv <= 16,                   \
       "warps and warps_kv must be at least 1, their product at most 16")                                           \
  RULE((c).tile.block_kv >= 16 && (c).tile.block_kv <= 256, "block_kv must be 16 to 256")                           \
  RULE((c).tile.block_kv % (16 * (c).tile.warps_kv) == 0, "block_kv must be a multiple of 16 * warps_kv")           \
  RULE((c).tile.stages >= 2 && (c).tile.stages <= 4, "stages must be 2 to 4")                                       \
  RULE((c).register_estimate() <= 255, "head_dim and block_kv need more than 255 registers a thread")               \
  RULE((c).registers_fit((c).register_estimate()), "the block needs more than 65536 registers")                     \
  RULE((c).tile.min_blocks >= 1 && (c).tile.min_blocks <= 16, "min_blocks must be 1 to 16")                         \
  RULE((c).tile.min_blocks == 1 || (c).register_limit() < 255, "min_blocks has no effect: registers allow as many") \
  RULE((c).register_limit() + 40 >= (c).register_estimate(), "min_blocks leaves a thread too few registers")        \
  RULE((c).smem_bytes() <= 227 * 1024, "the block needs more than 227 KiB of shared memory")                        \
  RULE((c).tile.min_blocks*(c).smem_bytes() <= 227 * 1024, "min_blocks need more than 227 KiB of shared memory")

// The reason why a configuration cannot run on any device, or null.
constexpr const char* attention_infeasible(const AttentionConfig& config) {
#define DUET_RULE(condition, reason) \
  if (!(condition)) return reason;
  DUET_ATTENTION_RULES(config, DUET_RULE)
#undef DUET_RULE
  return nullptr;
}

// x = query blocks, y = heads, z = batch.
constexpr Grid3 attention_grid(const AttentionConfig& config, int queries, int heads, int batch) {
  return Grid3{ceil_div(queries, config.block_q()), heads, batch};
}

// Head h of a token starts at element h * head_dim of its row; every row is aligned to 16 bytes. With a causal mask
// query i attends to keys 0 to i. A query that may attend to nothing gets zeros.
struct AttentionParams {
  const void* q;
  const void* k;
  const void* v;
  void* out;        // (batch, queries, heads * head_dim)
  const int* mask;  // (batch, keys), 1 = may be attended to; only for the padding masks
  int batch, heads, queries, keys;
  int ldq, ldk, ldv, ldo;  // elements between tokens
  i64 q_batch_stride, k_batch_stride, v_batch_stride, o_batch_stride;
  float scale;  // positive
};

}  // namespace duet
