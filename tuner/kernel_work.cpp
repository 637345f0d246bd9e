#include "tuner/kernel_work.h"

#include <algorithm>
#include <variant>

#include "base/error.h"

namespace duet {
namespace {

constexpr double kHalf = 2;                  // bytes of an f16 or bf16 element
constexpr double kActivationOps = 12;        // fp32 instructions of a GELU with its exponential and reciprocal
constexpr double kCopyOps = 5;               // addresses and the copy itself, of 16 bytes by a thread
constexpr double kRowPassOps = 8;            // sum, sum of squares, scale, shift and conversions of one element
constexpr double kSoftmaxOps = 8;            // scale, maximum, exponential, sum and conversion of one score
constexpr double kVectorBytesInFlight = 64;  // four 16-byte loads a thread, as the row templates unroll them

int clamp_registers(double registers) { return static_cast<int>(std::clamp(registers, 32.0, 255.0)); }

// Row kernels stream: each step keeps kVectorBytesInFlight a thread in flight.
int streaming_steps(double bytes, int threads) {
  return std::max(1, static_cast<int>(bytes / (kVectorBytesInFlight * std::max(threads, 1)) + 0.999));
}

// One tile of k: a barrier, then for each of a warp's k steps the operands from shared memory and the products, and
// what its threads copy. Constants set by hand on candidates recorded on an H100
// (docs/performance.md).
double chain_clocks(const GemmConfig& config) {
  const GemmTile& tile = config.tile;
  // A warpgroup's products of a tile are asked for at once, and the next tile's while they run.
  if (config.wgmma()) return 60 + 16 * config.statistics_registers();
  const double k_steps = tile.block_k / 16.0 / tile.warps_k;
  const double fragments_m = config.warp_m() / 16.0, products = fragments_m * config.warp_n() / 8;
  const double statistics = config.op.layer_norm ? 10 * fragments_m : 0;
  const double copies = (tile.block_m + tile.block_n) * tile.block_k / 8.0 / config.threads();
  return 60 + k_steps * (40 + 7 * products + statistics) + (config.tma() ? 0 : 40 + 6 * copies);
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
  if (config.wgmma()) {  // four warps read the columns' tile once
    work.smem_read_bytes = tile_warps / 4 * (4 * config.warp_m() + config.warp_n()) * depth * kHalf;
    work.warpgroup_products = true;
  }
  work.scalar_ops =
      m * n * (spec.op.activation == Activation::none ? 4 : kActivationOps) + (spec.op.layer_norm ? m * depth * 3 : 0);
  if (!config.tma()) work.scalar_ops += (m + n) * depth / 8 * kCopyOps;
  work.chain_clocks = chain_clocks(config);
  work.store_bytes = m * n * kHalf;
  work.iterations = std::max(steps, 1);
  work.loads_ahead = std::max(tile.stages - 1, 1);
  work.mma_in_flight = std::max(config.warp_m() / 16, 1) * std::max(config.warp_n() / 8, 1) * tile.warps_k;
  // Accumulators, two k-steps of operands, addresses.
  const double warp_m = config.warp_m(), warp_n = config.warp_n();
  work.estimated_registers = clamp_registers(warp_m * warp_n / 32 + (warp_m + warp_n) * 16 * 2 / 64 + 48);
  if (tile.split_k > 1) {
    work.combine_bytes =
        static_cast<double>(gemm_workspace_bytes(config, spec.params.m, spec.params.n, std::max(spec.params.batch, 1)));
    work.combine_blocks = tile.split_k;
  }
  return work;
}

KernelWork work_of(const AttentionSpec& spec, const AttentionTile& tile, const KernelCandidate&) {
  const AttentionConfig config{spec.op, tile};
  const int steps = std::max(ceil_div(spec.params.keys, tile.block_kv), 1);
  const double queries = config.block_q(), keys = static_cast<double>(steps) * tile.block_kv;
  const double width = config.padded_head_dim();
  KernelWork work;
  work.tensor_flops = 4 * queries * keys * width;
  work.scalar_ops = queries * keys * kSoftmaxOps;
  work.load_bytes = (2 * keys + queries) * spec.op.head_dim * kHalf;
  work.store_bytes = queries * spec.op.head_dim * kHalf;
  work.smem_read_bytes = tile.warps * 2 * keys * width * kHalf;
  work.iterations = steps;
  work.loads_ahead = std::max(tile.stages - 1, 1);
  work.mma_in_flight = std::max(tile.block_kv / 8, 1);
  work.estimated_registers = clamp_registers(width / 2 + tile.block_kv / 2.0 + width / 4 + 48);
  return work;
}

KernelWork row_work(double rows, double columns, double reads, double written_bytes, int threads) {
  KernelWork work;
  work.load_bytes = rows * columns * reads;
  work.store_bytes = rows * columns * written_bytes;
  work.scalar_ops = rows * columns * kRowPassOps;
  work.iterations = streaming_steps(work.load_bytes, threads);
  work.estimated_registers = 56;
  return work;
}

KernelWork work_of(const NormSpec& spec, const NormTile& tile, const KernelCandidate& candidate) {
  const double input = dtype_bytes(spec.op.dtype), output = dtype_bytes(spec.op.out_dtype);
  return row_work(tile.rows_per_block, spec.params.columns, input * (spec.op.residual ? 2 : 1),
                  output + (spec.op.residual ? input : 0), candidate.threads);
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
  work.iterations = streaming_steps(work.load_bytes, candidate.threads);
  work.estimated_registers = 40;
  return work;
}

KernelWork work_of(const EmbeddingSpec& spec, const EmbeddingTile& tile, const KernelCandidate& candidate) {
  const double width = dtype_bytes(spec.op.dtype);
  KernelWork work =
      row_work(tile.rows_per_block, spec.params.columns, width * (spec.op.position ? 2 : 1), width, candidate.threads);
  if (spec.op.source == EmbeddingSource::tokens) work.iterations += 1;  // the row waits for its id
  return work;
}

KernelWork work_of(const HeadSpec& spec, const HeadTile& tile, const KernelCandidate& candidate) {
  const double columns = spec.params.columns, width = dtype_bytes(spec.op.dtype);
  const double pooled_rows = spec.op.pool == PoolKind::mean ? spec.params.tokens : 1;
  const double outputs = spec.op.project ? std::min(tile.columns_per_block, std::max(spec.params.outputs, 1)) : 0;
  KernelWork work;
  work.load_bytes = (pooled_rows + outputs) * columns * width;
  work.store_bytes = (spec.op.project ? outputs : columns) * dtype_bytes(spec.op.out_dtype);
  work.scalar_ops = (pooled_rows * 2 + outputs * 2 + (spec.op.layer_norm ? kRowPassOps : 0)) * columns;
  work.iterations = streaming_steps(work.load_bytes, candidate.threads) + 1;  // the products wait for the row
  if (spec.op.pool == PoolKind::eot) work.iterations += 1;                    // the row waits for its position
  if (spec.op.project && spec.op.normalize) {
    work.combine_bytes = 4.0 * spec.params.batch * spec.params.outputs;
    work.combine_blocks = std::max(candidate.grid.x, 1);
  }
  return work;
}

KernelWork work_of(const SimilaritySpec& spec, const SimilarityTile&, const KernelCandidate& candidate) {
  const double logits = static_cast<double>(spec.params.images) * spec.params.texts;
  const double logits_per_block = logits / std::max(block_count(candidate), 1.0);
  KernelWork work;
  work.load_bytes = logits_per_block * spec.params.columns * 8;
  work.store_bytes = logits_per_block * 4;
  work.scalar_ops = logits_per_block * spec.params.columns * 2;
  work.iterations = streaming_steps(work.load_bytes, candidate.threads);
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

double block_count(const KernelCandidate& candidate) {
  return static_cast<double>(candidate.grid.x) * candidate.grid.y * candidate.grid.z;
}

KernelWork kernel_work(const KernelCandidate& candidate) {
  return std::visit(WorkOf{candidate}, candidate.spec, candidate.tile);
}

}  // namespace duet
