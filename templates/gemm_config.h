// The GEMM family: what is computed (GemmOp), how (GemmTile), with which operands (GemmParams).
//
//   C[m, n] = residual[m mod residual_rows, n] + act( sum_k A[m, k] B[n, k] + bias[n] )
//
// A is (m, k), B is (n, k), C is (m, n), each with its own leading dimension (elements between rows, a multiple of 8)
// and every row aligned to 16 bytes. Padding columns, from the logical width up to the next multiple of 8, are zero in
// every operand and are written as zero. A leading dimension beyond that makes the matrix a slice of a wider one (one
// head of a packed QKV product, say), whose other columns are neither read nor written.
#pragma once

#include "templates/device/types.h"

namespace duet {

// Where the rows of A come from.
enum class GemmA : int {
  rows = 0,     // a matrix in memory
  patches = 1,  // patches of an image (batch, channels, height, width): row = (image, patch), column = (channel, y, x)
};

// How B lies in memory.
enum class GemmB : int {
  n_by_k = 0,  // (n, k) row-major: weights, and the keys of attention
  k_by_n = 1,  // (k, n) row-major: the values of attention
};

struct GemmOp {
  Dtype dtype = Dtype::f16;  // of A, B, C and the residual; products accumulate in fp32
  GemmA a = GemmA::rows;
  GemmB b = GemmB::n_by_k;
  bool constant_b = true;  // B is a weight: it may be read before the kernel that writes A has ended
  // The rows of A are layer-normalised. The scale is folded into B and the shift into bias (weight recipe
  // `fold_layer_norm`), so that C = act( rstd[m] (acc - mean[m] fold_sum[n]) + bias[n] ), mean and rstd being
  // computed from A on its way through the kernel, or with `reads_row_sums` from what the kernel before has left.
  bool layer_norm = false;
  bool reads_row_sums = false;
  // The sums and sums of squares of C's rows are left to the kernels that normalise them (see GemmParams).
  bool writes_row_sums = false;
  bool bias = false;
  Activation activation = Activation::none;
  bool residual = false;
  int patch_copy_bytes = 16;  // for patches: the alignment of 8-element groups in the image: 16, 8 or 4
};

// Every thread copies a part of each tile (cp.async), on any device.
constexpr int kLoaderThreads = 1;
// The tensor memory accelerator of sm_90 and up copies whole tiles, which one more warp of the block asks it for.
constexpr int kLoaderTma = 2;
// As before, and the tensor cores read the tiles by themselves: warpgroup products, on sm_90 alone.
constexpr int kLoaderWgmma = 3;
// The same products of the transposed tile: their 64 rows are weights, their columns rows of A. Those are then as many
// as a multiple of 16 and not of 64: of 197 rows 208 are computed, not 256.
constexpr int kLoaderWgmmaTransposed = 4;

constexpr bool brings_whole_tiles(int loader) { return loader != kLoaderThreads; }
constexpr bool multiplies_by_warpgroups(int loader) {
  return loader == kLoaderWgmma || loader == kLoaderWgmmaTransposed;
}

constexpr int kRowSumBytes = 8;  // a row's sum and its sum of squares, fp32

struct GemmTile {
  int block_m = 64, block_n = 64, block_k = 32;  // the block's tile; block_m, block_k multiples of 16, block_n of 8
  int warps_m = 2, warps_n = 2;                  // the warps' arrangement over the tile
  int warps_k = 1;                               // sets of such warps, which share the k steps of every stage
  int stages = 3;                                // cp.async buffers in flight
  int split_k = 1;                               // blocks that share one output tile along k
  int loader = kLoaderThreads;                   // how tiles reach the tensor cores, one of those above
};

struct GemmConfig {
  GemmOp op;
  GemmTile tile;

  constexpr bool tma() const { return brings_whole_tiles(tile.loader); }
  constexpr bool wgmma() const { return multiplies_by_warpgroups(tile.loader); }
  constexpr bool transposed() const { return tile.loader == kLoaderWgmmaTransposed; }
  // Whether a warp of its own asks for tiles: unless its registers are needed, since a block's warps are dealt out to
  // the four partitions of an SM with a fourth of the registers each.
  constexpr bool loading_warp() const { return tma() && (!wgmma() || registers_fit(math_threads() + 32)); }
  constexpr bool registers_fit(int threads) const {
    return register_estimate() * 32 * ceil_div(threads, 128) <= 65536 / 4;
  }
  // Whether tensor cores add up the rows of a layer norm: where they are fast, which is where tiles come by themselves.
  constexpr bool statistics_by_products() const { return tma(); }
  constexpr int tile_threads() const { return tile.warps_m * tile.warps_n * 32; }  // that cover the tile once
  constexpr int math_threads() const { return tile_threads() * tile.warps_k; }
  constexpr int threads() const { return math_threads() + (loading_warp() ? 32 : 0); }
  constexpr int warp_m() const { return tile.block_m / tile.warps_m; }
  constexpr int warp_n() const { return tile.block_n / tile.warps_n; }

  // ---- registers of one thread
  constexpr int accumulators() const { return warp_m() * warp_n() / 32; }
  // Two sets of operand fragments, so that one is loaded while the other is multiplied. Warpgroup products have none.
  constexpr int fragment_registers() const { return wgmma() ? 0 : 2 * (warp_m() / 16 * 4 + warp_n() / 8 * 2); }
  // Whether the main loop adds up the rows of A.
  constexpr bool sums_rows() const { return op.layer_norm && !op.reads_row_sums; }
  // Pairs of row sums that a thread asks for before the main loop and adds up after it, of each of its rows.
  constexpr int given_row_sums() const { return op.reads_row_sums ? 8 : 1; }
  constexpr int given_rows() const { return op.reads_row_sums ? ceil_div(tile.block_m, math_threads()) : 1; }
  // Two sums of two rows a lane, or the accumulators of three products; or the sums that are on their way.
  constexpr int statistics_registers() const {
    if (op.reads_row_sums) return 2 * given_row_sums() * given_rows();
    return sums_rows() ? warp_m() / 16 * (statistics_by_products() ? 12 : 4) : 0;
  }
  // Patches: addresses in the image. A 64x64 warp tile, at 232 without them, spills on sm_87.
  constexpr int patch_registers() const { return op.a == GemmA::patches ? 24 : 0; }
  // What is live at once in the main loop, and 40 for addresses, 32 where nothing is copied or loaded from shared
  // memory. At the limit of 255, a 64x64 warp tile with a layer norm, ptxas 13.0 spills 20 bytes on sm_87 and nothing
  // on sm_110; the tiles tried below it did not spill.
  constexpr int register_estimate() const {
    return accumulators() + fragment_registers() + statistics_registers() + patch_registers() + (wgmma() ? 32 : 40);
  }

  // ---- shared memory, in this order: stages, chunks of C, statistics, column terms, barriers, row sums of C
  constexpr int a_stage_bytes() const { return tile.block_m * tile.block_k * 2; }
  constexpr int b_stage_bytes() const { return tile.block_n * tile.block_k * 2; }
  constexpr int stage_bytes() const { return a_stage_bytes() + b_stage_bytes(); }
  // Sets of warps that share the k steps exchange their accumulators in the place of the stages.
  constexpr int exchange_bytes() const { return tile.warps_k > 1 ? tile.warps_k * tile.block_m * tile.block_n * 4 : 0; }
  constexpr int pipeline_bytes() const {
    const int stages = tile.stages * stage_bytes();
    return stages > exchange_bytes() ? stages : exchange_bytes();
  }
  // C leaves a warp in groups of two fragments of 16 rows and 8 columns, one chunk of 8 columns a lane; how many of
  // them a thread finishes.
  constexpr int groups_per_thread() const { return ceil_div(warp_m() / 16 * ceil_div(warp_n() / 8, 2), tile.warps_k); }
  // Split-K: the partial sums that the last block of a tile reads of one group of every thread.
  constexpr int split_group_bytes() const { return (tile.split_k - 1) * math_threads() * 32; }
  // C in chunks, as many as the threads finish: the residual's, filled while the products run, so that their latency is
  // hidden; and of warpgroup products C's own on their way out, if need be in the place of the stages. Not transposed,
  // four groups of a warp lie together.
  constexpr bool chunks_apart() const { return op.residual || (wgmma() && (tile.split_k > 1 || tile.warps_k > 1)); }
  constexpr int chunks_offset() const { return chunks_apart() ? pipeline_bytes() : 0; }
  constexpr int chunk_groups() const {
    return wgmma() && !transposed() ? ceil_div(groups_per_thread(), 4) * 4 : groups_per_thread();
  }
  constexpr int chunks_bytes() const { return chunk_groups() * math_threads() * 16; }
  constexpr int statistics_offset() const { return pipeline_bytes() + (chunks_apart() ? chunks_bytes() : 0); }
  // Warps that hold parts of the same row of the tile: beside each other, or of other sets.
  constexpr int warps_a_row() const { return tile.warps_n * tile.warps_k; }
  // Row sums and sums of squares, one pair per (part, row): what a set of warps or a warp column has added up of A, or
  // what as many threads a row as there are, up to eight, have read of the sums that were left for it.
  constexpr int statistics_parts() const {
    if (sums_rows()) return warps_a_row();
    const int threads_a_row = math_threads() / tile.block_m;
    return threads_a_row < 1 ? 1 : threads_a_row > 8 ? 8 : threads_a_row;
  }
  constexpr int statistics_bytes() const {
    return op.layer_norm ? statistics_parts() * tile.block_m * kRowSumBytes : 0;
  }
  // Whether a thread that reads the sums of a row has all of them, and leaves what a transposed tile needs of them.
  constexpr bool leaves_norms() const { return transposed() && op.reads_row_sums && statistics_parts() == 1; }
  constexpr int bias_offset() const { return statistics_offset() + statistics_bytes(); }
  constexpr int fold_sum_offset() const { return bias_offset() + (op.bias ? tile.block_n * 4 : 0); }
  constexpr int barrier_offset() const { return fold_sum_offset() + (op.layer_norm ? tile.block_n * 4 : 0); }
  // Two barriers of 8 bytes a stage, full and empty, for the tensor memory accelerator.
  constexpr int row_sums_offset() const { return barrier_offset() + (tma() ? tile.stages * 16 : 0); }
  // Whether a group of C is all that its warp has of the group's rows; then one set of warps has it.
  constexpr bool groups_span_warp() const { return warp_n() <= 16; }
  // Of C: as the statistics that the main loop adds up, unless one warp has whole rows of the tile.
  constexpr int row_sum_parts() const { return groups_span_warp() ? tile.warps_n : warps_a_row(); }
  constexpr int row_sums_bytes() const {
    return op.writes_row_sums && row_sum_parts() > 1 ? row_sum_parts() * tile.block_m * kRowSumBytes : 0;
  }
  constexpr int smem_bytes() const { return row_sums_offset() + row_sums_bytes(); }
};

// What a configuration must satisfy whatever the device, stated once: the host asks gemm_infeasible(), the kernel
// asserts the same list, so that a stub that slipped through fails to compile with the same words. A device's own
// limits on shared memory and registers are the caller's to check.
// The fragments limit comes from 255 registers a thread.
#define DUET_GEMM_RULES(c, RULE)                                                                              \
  RULE((c).op.dtype == Dtype::f16 || (c).op.dtype == Dtype::bf16, "dtype must be f16 or bf16")                \
  RULE((c).tile.warps_m >= 1 && (c).tile.warps_n >= 1, "warps_m and warps_n must be at least 1")              \
  RULE((c).tile.warps_k >= 1, "warps_k must be at least 1")                                                   \
  RULE((c).tile.warps_m*(c).tile.warps_n*(c).tile.warps_k <= 16, "a block has at most 16 warps")              \
  RULE((c).tile.block_m >= 16 && (c).tile.block_m <= 256, "block_m must be 16 to 256")                        \
  RULE((c).tile.block_n >= 8 && (c).tile.block_n <= 256, "block_n must be 8 to 256")                          \
  RULE((c).tile.block_m % (16 * (c).tile.warps_m) == 0, "block_m must be a multiple of 16 * warps_m")         \
  RULE((c).tile.block_n % (8 * (c).tile.warps_n) == 0, "block_n must be a multiple of 8 * warps_n")           \
  RULE((c).tile.block_k == 16 || (c).tile.block_k == 32 || (c).tile.block_k == 64 || (c).tile.block_k == 128, \
       "block_k must be 16, 32, 64 or 128")                                                                   \
  RULE((c).tile.block_k % (16 * (c).tile.warps_k) == 0, "block_k must be a multiple of 16 * warps_k")         \
  RULE((c).tile.stages >= 2 && (c).tile.stages <= 12, "stages must be 2 to 12")                               \
  RULE((c).tile.split_k >= 1 && (c).tile.split_k <= 32, "split_k must be 1 to 32")                            \
  RULE((c).split_group_bytes() <= (c).pipeline_bytes(),                                                       \
       "with split_k, the stages must hold the partial sums of a group of every thread")                      \
  RULE((c).chunks_apart() || !(c).wgmma() || (c).chunks_bytes() <= (c).pipeline_bytes(),                      \
       "the stages must hold C of warpgroup products")                                                        \
  RULE((c).tile.loader >= kLoaderThreads && (c).tile.loader <= kLoaderWgmmaTransposed,                        \
       "loader must be 1 (threads), 2 (tensor memory accelerator), 3 or 4 (with warpgroup products)")         \
  RULE(!(c).tma() || ((c).op.a == GemmA::rows && (c).op.b == GemmB::n_by_k && (c).op.constant_b),             \
       "the tensor memory accelerator brings rows of A and weights")                                          \
  RULE(!(c).tma() || (c).tile.block_k == 64, "block_k must be 64 with the tensor memory accelerator")         \
  RULE(!(c).wgmma() || (c).transposed() || ((c).tile.warps_m % 4 == 0 && (c).warp_m() == 16),                 \
       "warpgroup products take 16 rows a warp and a multiple of 4 warps along m")                            \
  RULE(!(c).wgmma() || (c).warp_n() % 16 == 0, "warpgroup products take a multiple of 16 columns")            \
  RULE(!(c).transposed() || ((c).tile.warps_n % 4 == 0 && (c).warp_n() == 16),                                \
       "transposed warpgroup products take 16 columns a warp and a multiple of 4 warps along n")              \
  RULE(!(c).transposed() || !(c).sums_rows(), "transposed warpgroup products do not add up rows")             \
  RULE(!(c).op.reads_row_sums || (c).op.layer_norm, "only a layer norm reads the sums of rows")               \
  RULE((c).op.patch_copy_bytes == 4 || (c).op.patch_copy_bytes == 8 || (c).op.patch_copy_bytes == 16,         \
       "patch_copy_bytes must be 4, 8 or 16")                                                                 \
  RULE((c).register_estimate() <= 255, "the warp's tile needs more than 255 registers a thread")              \
  RULE((c).registers_fit((c).threads()), "the block needs more than 65536 registers")                         \
  RULE((c).smem_bytes() <= 227 * 1024, "the block needs more than 227 KiB of shared memory")

// The reason why a configuration cannot run on any device, or null.
constexpr const char* gemm_infeasible(const GemmConfig& config) {
#define DUET_RULE(condition, reason) \
  if (!(condition)) return reason;
  DUET_GEMM_RULES(config, DUET_RULE)
#undef DUET_RULE
  return nullptr;
}

// Where and how a matrix lies in memory, for the tensor memory accelerator: made by the driver, opaque to us.
struct alignas(64) TensorMap {
  unsigned char bytes[128];
};

// One problem: sizes and strides, known when the plan is made. Strides are in elements.
struct GemmParams {
  const void* a;
  const void* b;
  void* c;
  const float* bias;      // (n)
  const float* fold_sum;  // (n): the sums over k of the folded B
  const void* residual;   // (residual_rows, n), leading dimension ld_residual
  // Pairs (sum, sum of squares) of rows: of A, (row_sum_tiles, m), each tile a part of the columns, and of C, one tile
  // for each tile of columns: of its elements as they are summed up, or of a transposed tile as they are written.
  const float* row_sums_in;
  float* row_sums_out;
  float* workspace;  // split-K: see gemm_workspace_bytes
  u32* counters;     // split-K: one per output tile and batch, zero before and after the launch
  // Weights that a later kernel reads, to be brought into L2 while this one waits for its own operands; null: none.
  const void* next_weights;
  i64 next_weights_bytes;
  int m, n, k;
  int lda, ldb, ldc, ld_residual;
  int residual_rows;
  float layer_norm_epsilon;
  int row_sum_tiles;
  // Batched products (attention without fusion): batch index z = outer * batch_inner + inner.
  int batch, batch_inner;
  i64 a_stride_outer, a_stride_inner, b_stride_outer, b_stride_inner, c_stride_outer, c_stride_inner;
  // Patches: the image is (images, channels, image_h, image_w) without padding, m = images * patches; k = channels *
  // patch * patch_ld where patch_ld = patch rounded up to 8 (B's columns are laid out likewise, zeros in between).
  int channels, image_h, image_w, patch;
  // For the tensor memory accelerator: A (m, k) in boxes of (block_m, 64) and B (n, k) in boxes of (block_n, 64).
  TensorMap map_a, map_b;
};

constexpr int gemm_tiles(const GemmTile& tile, int m, int n) {
  return ceil_div(m, tile.block_m) * ceil_div(n, tile.block_n);
}

// x = tiles of rows, y = tiles of columns, z = (batch, split). Blocks start in the order of x: those that share a tile
// of B, the weights, run together, and B comes from DRAM once.
constexpr Grid3 gemm_grid(const GemmConfig& config, int m, int n, int batch) {
  return Grid3{ceil_div(m, config.tile.block_m), ceil_div(n, config.tile.block_n), batch * config.tile.split_k};
}

// Split-K: a block of a tile leaves its groups, and where it adds up rows of A their (sum, sum of squares).
constexpr i64 gemm_partial_bytes(const GemmConfig& config) {
  return static_cast<i64>(config.groups_per_thread()) * config.math_threads() * 32 +
         (config.sums_rows() ? config.tile.block_m * kRowSumBytes : 0);
}
constexpr i64 gemm_workspace_bytes(const GemmConfig& config, int m, int n, int batch) {
  return gemm_partial_bytes(config) * gemm_tiles(config.tile, m, n) * (config.tile.split_k - 1) * batch;
}
constexpr int gemm_counter_count(const GemmConfig& config, int m, int n, int batch) {
  return config.tile.split_k == 1 ? 0 : gemm_tiles(config.tile, m, n) * batch;
}

}  // namespace duet
