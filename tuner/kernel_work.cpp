#include "tuner/kernel_work.h"

#include <algorithm>
#include <variant>

#include "base/error.h"

namespace duet {
namespace {

constexpr double kHalf = 2;              // bytes of an f16 or bf16 element
constexpr double kActivationOps = 12;    // fp32 instructions of a GELU with its exponential and reciprocal
constexpr double kCopyOps = 5;           // addresses and the copy itself, of 16 bytes by a thread
constexpr double kAttentionCopyOps = 6;  // the same with the head's columns
constexpr double kCopyClocks = 18;       // that a warp spends on a copy of 16 bytes a lane
constexpr double kRowPassOps = 6;        // one element on one pass over its row: conversion, sum, scale and shift
constexpr int kAllBarriers = 16;         // of a block: reserved where the number of one is computed (ptxas -v, 13.0)
// A fence, an atomic and the read that waits for it, each to L2, by the block that comes last; or, where it is known
// before which block that is, what it waits for the others that end when it does.
constexpr double kArrivalUs = 1.5, kHandoverUs = 0.5;
constexpr double kSoftmaxOps = 8;  // scale, maximum, exponential, sum and conversion of one score

int clamp_registers(double registers) { return static_cast<int>(std::clamp(registers, 32.0, 255.0)); }

// One tile of k: a barrier, then for each of a warp's k steps the operands from shared memory and the products, and
// what its threads copy. With the tensor memory accelerator a warp waits for the tile alone, not for the other warps.
// Where a warp has one k step of a tile, nothing runs while its fragments come.
void add_chain(KernelWork& work, const GemmConfig& config) {
  const GemmTile& tile = config.tile;
  const double steps = work.iterations, warps = config.math_threads() / 32.0;
  const double k_steps = steps * tile.block_k / 16.0 / tile.warps_k;
  const double fragments_m = config.warp_m() / 16.0, fragments_n = config.warp_n() / 8.0;
  work.sync_clocks = steps * (config.tma() ? 40 : 100 + 8 * warps);
  work.math_clocks = k_steps * (7 * fragments_m * fragments_n + 8 * fragments_m + 4 * fragments_n);
  if (config.wgmma()) {  // the products of a tile are asked for at once, and the next tile's while they run
    work.sync_clocks = work.math_clocks = steps * 20;
  } else if (tile.block_k == 16 * tile.warps_k) {
    work.math_clocks += steps * 80;
  }
  // Products of one row of warps in turn, or scalar instructions.
  if (config.sums_rows())
    work.row_clocks = k_steps * fragments_m * (config.statistics_by_products() ? 6.0 / tile.warps_n : 10);
  if (!config.tma()) {
    const double a_copies = tile.block_m * tile.block_k / 8.0 / config.math_threads();
    const double copies = a_copies + tile.block_n * tile.block_k / 8.0 / config.math_threads();
    work.copy_clocks = steps * (60 + kCopyClocks * copies + (config.op.a == GemmA::patches ? 30 * a_copies : 0));
  }
  const double a_chunk = 40 + 20 * (tile.warps_k - 1) + (config.op.activation != Activation::none ? 40 : 0) +
                         (config.op.residual ? 20 : 0) - (config.wgmma() ? 20 : 0);
  work.block_clocks = 150 + config.groups_per_thread() * a_chunk;
}

KernelWork work_of(const GemmSpec& spec, const GemmTile& tile, const KernelCandidate&) {
  const GemmConfig config{spec.op, tile};
  const double m = tile.block_m, n = tile.block_n;
  const int steps = ceil_div(ceil_div(spec.params.k, tile.block_k), std::max(tile.split_k, 1));
  const double depth = static_cast<double>(steps) * tile.block_k;
  const double tile_warps = tile.warps_m * tile.warps_n;  // each set of them reads its share of the depth
  KernelWork work;
  work.tensor_flops = 2 * m * n * depth;
  work.load_bytes = (m + n) * depth * kHalf + (spec.op.residual ? m * n * kHalf : 0);
  work.smem_read_bytes = tile_warps * (config.warp_m() + config.warp_n()) * depth * kHalf;
  if (config.wgmma()) {  // four warps read the tile of a product's columns once
    const double rows = config.transposed() ? config.warp_n() : config.warp_m();
    const double columns = config.transposed() ? config.warp_m() : config.warp_n();
    work.smem_read_bytes = tile_warps / 4 * (4 * rows + columns) * depth * kHalf;
    work.warpgroup_products = true;
  }
  work.scalar_ops = m * n * (spec.op.activation == Activation::none ? 4 : kActivationOps);
  if (config.sums_rows() && !config.statistics_by_products()) work.scalar_ops += m * depth * 3;
  if (spec.op.reads_row_sums) work.load_bytes += m * spec.params.row_sum_tiles * kRowSumBytes;
  if (spec.op.writes_row_sums) work.scalar_ops += m * n * 2;
  if (!config.tma()) work.scalar_ops += (m + n) * depth / 8 * kCopyOps;
  work.store_bytes = m * n * kHalf + (spec.op.writes_row_sums ? m * kRowSumBytes : 0);
  work.iterations = std::max(steps, 1);
  work.loads_ahead = std::max(tile.stages - 1, 1);
  if (config.transposed()) work.barriers = config.math_threads() > 128 ? kAllBarriers : 3;  // as its epilogue says
  add_chain(work, config);
  // Accumulators, two k-steps of operands, addresses.
  const double warp_m = config.warp_m(), warp_n = config.warp_n();
  work.estimated_registers = config.wgmma()
                                 ? config.register_estimate()
                                 : clamp_registers(warp_m * warp_n / 32 + (warp_m + warp_n) * 16 * 2 / 64 + 48);
  if (tile.split_k > 1) {
    work.combine_bytes =
        static_cast<double>(gemm_workspace_bytes(config, spec.params.m, spec.params.n, std::max(spec.params.batch, 1)));
    work.combine_blocks = tile.split_k;
    work.combine_sync_us = kHandoverUs;
  }
  return work;
}

// Steps over the keys of the longest block of queries, and of the average one: a causal block ends at its diagonal.
struct KeySteps {
  int longest;
  double average;
};
KeySteps key_steps(const AttentionConfig& config, const AttentionParams& params) {
  const int blocks = std::max(ceil_div(params.queries, config.block_q()), 1);
  const int all = std::max(ceil_div(params.keys, config.tile.block_kv), 1);
  if (!config.causal()) return {all, static_cast<double>(all)};
  double sum = 0;
  int longest = 1;
  for (int block = 0; block < blocks; ++block) {
    const int keys = std::min(params.keys, (block + 1) * config.block_q());
    longest = std::max(longest, ceil_div(keys, config.tile.block_kv));
    sum += std::max(ceil_div(keys, config.tile.block_kv), 1);
  }
  return {longest, sum / blocks};
}

// A thread's copies lie a fixed number of rows apart. Where that is no multiple of 8, the rows after which the swizzle
// of shared memory repeats, each needs an address of its own.
bool has_regular_copies(const AttentionConfig& config) {
  const int vectors = config.op.head_dim / 8;
  return (vectors & (vectors - 1)) == 0 && config.threads() / vectors % 8 == 0;
}

KernelWork work_of(const AttentionSpec& spec, const AttentionTile& tile, const KernelCandidate&) {
  const AttentionConfig config{spec.op, tile};
  const KeySteps steps = key_steps(config, spec.params);
  const double queries = config.block_q(), keys = static_cast<double>(steps.longest) * tile.block_kv;
  const double width = config.padded_head_dim();
  const double copies = (2 * keys + queries) * spec.op.head_dim / 8.0 * (has_regular_copies(config) ? 1 : 2);
  KernelWork work;
  work.tensor_flops = 4 * queries * keys * width;
  work.scalar_ops = queries * keys * kSoftmaxOps + copies * kAttentionCopyOps;
  work.load_bytes = (2 * keys + queries) * spec.op.head_dim * kHalf;
  work.store_bytes = queries * spec.op.head_dim * kHalf;
  work.smem_read_bytes = tile.warps * 2 * keys * width * kHalf;
  work.iterations = steps.longest;
  work.loads_ahead = std::max(tile.stages - 1, 1);
  work.later_share = steps.average / steps.longest;
  // Two barriers; the more warps meet there, the longer until the last of them comes.
  work.sync_clocks = steps.longest * (60 + 16 * config.threads() / 32.0);
  const double warp_keys = keys / tile.warps_kv;
  work.math_clocks = 7 * 2 * (width / 16) * (warp_keys / 8);
  work.row_clocks = 40.0 * steps.longest + 3 * warp_keys;
  work.copy_clocks = 60.0 * steps.longest + copies * kCopyClocks / config.threads();
  work.block_clocks = 200 + 1.25 * width + 40 * tile.stages + (tile.warps_kv - 1) * (100 + width);
  // Q, O, scores, weights and a step's fragments of K or V; the next step's scores, or what the compiler keeps in their
  // place; the places of copies; then addresses and row state.
  const int next = config.scores_ahead() ? config.warp_kv() / 2 : 20;
  const double registers = width / 4 + width / 2 + config.warp_kv() + next + config.copy_registers() + 56;
  work.estimated_registers = clamp_registers(std::min<double>(registers, config.register_limit()));
  return work;
}

// Rows of a team of warps (templates/common/row.cuh): each lane keeps up to `cached` vectors of 8 elements in
// registers, all of them loaded at once whether the row has them or not, and reads the others again on each pass.
struct RowShape {
  int rows_per_block, warps_per_row, cached_vectors, columns, passes;
  double read_bytes, written_bytes;  // an element
};
KernelWork row_work(const RowShape& shape) {
  const int lanes = shape.warps_per_row * 32, threads = lanes * shape.rows_per_block;
  const int vectors = ceil_div(ceil_div(shape.columns, 8), lanes);  // a lane's
  const double uncached = std::max(0, vectors - shape.cached_vectors), slots = std::max(vectors, shape.cached_vectors);
  const double sources = shape.read_bytes / kHalf;
  constexpr double kHitShare = 0.3;  // of an SM's intake that a vector read again costs: most are still in L1
  KernelWork work;
  work.load_bytes = shape.rows_per_block * shape.columns * shape.read_bytes +
                    threads * (slots - vectors) * 8 * shape.read_bytes +
                    threads * uncached * 8 * shape.read_bytes * (shape.passes - 1) * kHitShare;
  work.store_bytes = shape.rows_per_block * shape.columns * shape.written_bytes;
  work.scalar_ops = threads * slots * 8 * shape.passes * kRowPassOps;
  // A vector on one pass; one that is read again waits for it.
  work.math_clocks = (slots + uncached * sources) * shape.passes * 100 + shape.cached_vectors * sources * 20;
  if (shape.passes > 1) {  // reductions over the row
    work.row_clocks = vectors * 200 + (shape.passes - 1) * (shape.warps_per_row > 1 ? 120 : 60);
  }
  work.block_clocks = 200 + threads / 4.0;
  work.estimated_registers = (shape.passes > 1 ? 46 : 24) + 8 * shape.cached_vectors;
  if (shape.warps_per_row > 1 && shape.rows_per_block > 1) work.barriers = kAllBarriers;
  return work;
}

KernelWork work_of(const NormSpec& spec, const NormTile& tile, const KernelCandidate&) {
  const double input = dtype_bytes(spec.op.dtype), output = dtype_bytes(spec.op.out_dtype);
  return row_work({.rows_per_block = tile.rows_per_block,
                   .warps_per_row = tile.warps_per_row,
                   .cached_vectors = tile.cached_vectors,
                   .columns = spec.params.columns,
                   .passes = spec.op.function == RowFunction::l2_normalize ? 2 : 3,
                   .read_bytes = input * (spec.op.residual ? 2 : 1),
                   .written_bytes = output + (spec.op.residual ? input : 0)});
}

double step_ops(PointwiseStep step) {
  switch (step) {
    case PointwiseStep::gelu:
    case PointwiseStep::gelu_tanh:
    case PointwiseStep::quick_gelu:
    case PointwiseStep::silu:
      return kActivationOps;
    default:
      return 2;
  }
}

KernelWork work_of(const PointwiseSpec& spec, const PointwiseTile& tile, const KernelCandidate& candidate) {
  const double elements = 8.0 * tile.threads * tile.vectors_per_thread;
  const double width = dtype_bytes(spec.op.dtype);
  double reads = width, ops = 4;
  for (PointwiseStep step : spec.op.steps) {
    if (step == PointwiseStep::end) break;
    ops += step_ops(step);
    if (step == PointwiseStep::add_matrix || step == PointwiseStep::add_table) reads += width;
    if (step == PointwiseStep::add_row || step == PointwiseStep::padding_mask) reads += 4;
  }
  KernelWork work;
  work.load_bytes = elements * reads;
  work.store_bytes = elements * width;
  work.scalar_ops = elements * ops;
  work.copy_clocks = tile.vectors_per_thread * reads / width * 10;
  work.math_clocks = tile.vectors_per_thread * ops * 8;
  work.block_clocks = 200 + candidate.threads / 4.0;
  work.estimated_registers = 40;
  return work;
}

KernelWork work_of(const EmbeddingSpec& spec, const EmbeddingTile& tile, const KernelCandidate&) {
  const double width = dtype_bytes(spec.op.dtype);
  KernelWork work = row_work({.rows_per_block = tile.rows_per_block,
                              .warps_per_row = tile.warps_per_row,
                              .cached_vectors = tile.cached_vectors,
                              .columns = spec.params.columns,
                              .passes = spec.op.layer_norm ? 3 : 1,
                              .read_bytes = width * (spec.op.position ? 2 : 1),
                              .written_bytes = width});
  if (spec.op.source == EmbeddingSource::tokens) work.block_clocks += 400;  // the row waits for its id
  return work;
}

KernelWork work_of(const HeadSpec& spec, const HeadTile& tile, const KernelCandidate& candidate) {
  const HeadConfig config{spec.op, tile};
  const double columns = spec.params.columns, width = dtype_bytes(spec.op.dtype);
  const double pooled_rows = spec.op.pool == PoolKind::mean ? spec.params.tokens : 1;
  const double outputs = spec.op.project ? std::min(tile.columns_per_block, std::max(spec.params.outputs, 1)) : 0;
  const double pooled = ceil_div(HeadConfig::kMaxColumns / 8, config.threads());  // vectors that a lane keeps
  KernelWork work;
  work.load_bytes = (pooled_rows + outputs) * columns * width;
  work.store_bytes = (spec.op.project ? outputs : columns) * dtype_bytes(spec.op.out_dtype);
  work.copy_clocks = pooled * 40 * pooled_rows;
  work.sync_clocks = 160 + 8.0 * tile.warps;
  work.row_clocks = pooled * 60;
  work.scalar_ops = config.threads() * pooled * pooled_rows * 80;
  work.block_clocks = 300 + (spec.op.pool == PoolKind::eot ? 600 : 0);  // the row waits for its position
  if (spec.op.project) {
    const double in_flight = config.columns_in_flight(), groups = config.columns_per_warp() / in_flight;
    const double steps = groups * ceil_div(ceil_div(spec.params.columns, 8), 32);
    work.iterations += static_cast<int>(steps);  // the products wait for the row
    work.math_clocks = steps * (in_flight * 30 + 20) + groups * in_flight * 60;
    work.scalar_ops += config.threads() * steps * in_flight * 30;
  }
  if (spec.op.project && spec.op.normalize) {
    work.combine_bytes = 4.0 * spec.params.batch * spec.params.outputs;
    work.combine_blocks = std::max(candidate.grid.x, 1);
    work.combine_sync_us = kArrivalUs;
  }
  return work;
}

KernelWork work_of(const SimilaritySpec& spec, const SimilarityTile&, const KernelCandidate& candidate) {
  const double logits = static_cast<double>(spec.params.images) * spec.params.texts;
  const double logits_per_block = logits / std::max(block_count(candidate), 1.0);
  const double vectors = ceil_div(ceil_div(spec.params.columns, 8), 32);
  KernelWork work;
  work.load_bytes = logits_per_block * spec.params.columns * 8;
  work.store_bytes = logits_per_block * 4;
  work.scalar_ops = logits_per_block * spec.params.columns * 2;
  work.math_clocks = vectors * 80;
  work.block_clocks = 300 + candidate.threads / 4.0;
  work.estimated_registers = 40;
  return work;
}

// A spec and the tile of the same family; of another family there is no work to speak of.
struct WorkOf {
  const KernelCandidate& candidate;
  KernelWork operator()(const GemmSpec& spec, const GemmTile& tile) const { return work_of(spec, tile, candidate); }
  KernelWork operator()(const AttentionSpec& spec, const AttentionTile& tile) const {
    return work_of(spec, tile, candidate);
  }
  KernelWork operator()(const NormSpec& spec, const NormTile& tile) const { return work_of(spec, tile, candidate); }
  KernelWork operator()(const PointwiseSpec& spec, const PointwiseTile& tile) const {
    return work_of(spec, tile, candidate);
  }
  KernelWork operator()(const EmbeddingSpec& spec, const EmbeddingTile& tile) const {
    return work_of(spec, tile, candidate);
  }
  KernelWork operator()(const HeadSpec& spec, const HeadTile& tile) const { return work_of(spec, tile, candidate); }
  KernelWork operator()(const SimilaritySpec& spec, const SimilarityTile& tile) const {
    return work_of(spec, tile, candidate);
  }
  template <typename Spec, typename Tile>
  KernelWork operator()(const Spec&, const Tile&) const {
    fail(ErrorKind::internal, "candidate of family {} carries a tile of another family", family_name(candidate.spec));
  }
};

}  // namespace

double launch_read_bytes(const KernelCandidate& candidate) {
  const auto* product = std::get_if<GemmSpec>(&candidate.spec);
  if (product == nullptr) return kernel_work(candidate).load_bytes * block_count(candidate);
  const auto& [op, p] = *product;
  const auto& tile = std::get<GemmTile>(candidate.tile);
  const double row_tiles = ceil_div(p.m, tile.block_m), column_tiles = ceil_div(p.n, tile.block_n);
  const double operands = (column_tiles * p.m + row_tiles * p.n) * p.k * kHalf;
  const double residual = op.residual ? kHalf * p.m * p.n : 0;
  const double partial = 4.0 * p.m * p.n * (tile.split_k - 1);
  return std::max(p.batch, 1) * (operands + residual + partial);
}

double block_count(const KernelCandidate& candidate) {
  return static_cast<double>(candidate.grid.x) * candidate.grid.y * candidate.grid.z;
}

KernelWork kernel_work(const KernelCandidate& candidate) {
  return std::visit(WorkOf{candidate}, candidate.spec, candidate.tile);
}

}  // namespace duet
