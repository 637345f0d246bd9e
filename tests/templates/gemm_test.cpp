// The GEMM kernels, run by the emulator over ragged sizes and compared with an fp64 reference.
#include "templates/gemm.cuh"

#include "tests/templates/matrix16.h"

namespace duet {

// One kernel of the test: a configuration and an entry.
#define GEMM_KERNEL(name, ...)               \
  struct name##_config {                     \
    static constexpr GemmConfig value = [] { \
      GemmConfig c{};                        \
      __VA_ARGS__;                           \
      return c;                              \
    }();                                     \
  };                                         \
  DUET_KERNEL(name, GemmParams, name##_config::value.threads(), 1) { gemm<name##_config>(params); }

#define TILE(bm, bn, bk, wm, wn, st) \
  c.tile = GemmTile { bm, bn, bk, wm, wn, 1, st, 1 }

// Tiles: the default, the smallest, the largest, odd numbers of column fragments, one and four k steps a stage.
GEMM_KERNEL(gemm_64x64x32, TILE(64, 64, 32, 2, 2, 3))
GEMM_KERNEL(gemm_16x8x16, TILE(16, 8, 16, 1, 1, 2))
GEMM_KERNEL(gemm_16x64x64, TILE(16, 64, 64, 1, 4, 4))
GEMM_KERNEL(gemm_32x24x32, TILE(32, 24, 32, 2, 1, 2))
GEMM_KERNEL(gemm_64x96x16, TILE(64, 96, 16, 1, 4, 6))
GEMM_KERNEL(gemm_128x128x32, TILE(128, 128, 32, 2, 4, 3))
GEMM_KERNEL(gemm_48x80x32, TILE(48, 80, 32, 3, 2, 4))
// bf16, epilogues
GEMM_KERNEL(gemm_bf16_bias_gelu, c.op.dtype = Dtype::bf16; c.op.bias = true; c.op.activation = Activation::gelu)
GEMM_KERNEL(gemm_bias_gelu_tanh, c.op.bias = true; c.op.activation = Activation::gelu_tanh)
GEMM_KERNEL(gemm_bias_quick_gelu, c.op.bias = true; c.op.activation = Activation::quick_gelu; TILE(32, 32, 64, 2, 1, 3))
GEMM_KERNEL(gemm_silu_residual, c.op.residual = true; c.op.activation = Activation::silu; TILE(16, 48, 32, 1, 2, 2))
GEMM_KERNEL(gemm_bf16_bias_residual, c.op.dtype = Dtype::bf16; c.op.bias = true; c.op.residual = true;
            TILE(32, 128, 32, 1, 4, 3))
// layer norm: the warps' turns divide the k steps of a stage, or do not
GEMM_KERNEL(gemm_norm, c.op.layer_norm = true; c.op.bias = true)
GEMM_KERNEL(gemm_norm_turns, c.op.layer_norm = true; c.op.bias = true; c.op.activation = Activation::quick_gelu;
            TILE(32, 96, 32, 1, 3, 4))
GEMM_KERNEL(gemm_bf16_norm, c.op.dtype = Dtype::bf16; c.op.layer_norm = true; TILE(64, 32, 64, 4, 1, 2))
// split-K
GEMM_KERNEL(gemm_split3, TILE(32, 32, 32, 2, 1, 2); c.tile.split_k = 3)
GEMM_KERNEL(gemm_split4_all, c.op.layer_norm = true; c.op.bias = true; c.op.activation = Activation::gelu_tanh;
            c.op.residual = true; TILE(32, 64, 32, 1, 2, 3); c.tile.split_k = 4)
GEMM_KERNEL(gemm_split16, TILE(16, 16, 16, 1, 1, 3); c.tile.split_k = 16; c.op.bias = true)
// sliced K: sets of warps share the k steps of a stage
GEMM_KERNEL(gemm_sliced2, TILE(64, 32, 64, 2, 1, 3); c.tile.warps_k = 2)
GEMM_KERNEL(gemm_sliced4_all, c.op.layer_norm = true; c.op.bias = true; c.op.activation = Activation::quick_gelu;
            c.op.residual = true; TILE(32, 48, 128, 2, 1, 3); c.tile.warps_k = 4; c.tile.split_k = 2)
GEMM_KERNEL(gemm_bf16_sliced2_k_by_n, c.op.dtype = Dtype::bf16; c.op.b = GemmB::k_by_n; TILE(16, 24, 32, 1, 3, 4);
            c.tile.warps_k = 2)
// Six groups for four sets, the third and sixth of one fragment: not all sets have as many, and rows change with the
// set.
GEMM_KERNEL(gemm_sliced4_tall, c.op.layer_norm = true; c.op.bias = true; c.op.residual = true;
            TILE(64, 40, 64, 2, 1, 3); c.tile.warps_k = 4)
// Row sums left by the kernel before: one thread a row, several, and more rows than threads.
#define READS_ROW_SUMS c.op.layer_norm = c.op.reads_row_sums = c.op.bias = true
GEMM_KERNEL(gemm_reads, READS_ROW_SUMS)
GEMM_KERNEL(gemm_reads_shared, READS_ROW_SUMS; TILE(16, 32, 64, 1, 2, 3); c.tile.warps_k = 2)
GEMM_KERNEL(gemm_reads_tall, READS_ROW_SUMS; TILE(64, 8, 32, 1, 1, 2))
GEMM_KERNEL(gemm_bf16_reads_split, READS_ROW_SUMS; c.op.dtype = Dtype::bf16; TILE(32, 32, 32, 2, 1, 3);
            c.tile.split_k = 3)
// Row sums left for the kernel after: a warp has whole rows of the tile, or shares them with warps beside it and sets.
#define WRITES_ROW_SUMS c.op.writes_row_sums = c.op.residual = c.op.bias = true
GEMM_KERNEL(gemm_writes, WRITES_ROW_SUMS; TILE(64, 48, 32, 2, 1, 3))
GEMM_KERNEL(gemm_writes_shared, WRITES_ROW_SUMS; TILE(32, 64, 32, 1, 4, 3))
GEMM_KERNEL(gemm_bf16_writes_sliced, WRITES_ROW_SUMS; c.op.dtype = Dtype::bf16; TILE(64, 40, 64, 2, 1, 3);
            c.tile.warps_k = 4)
GEMM_KERNEL(gemm_writes_split, WRITES_ROW_SUMS; TILE(32, 24, 32, 2, 1, 2); c.tile.split_k = 3)
GEMM_KERNEL(gemm_reads_and_writes, READS_ROW_SUMS; WRITES_ROW_SUMS; c.op.activation = Activation::quick_gelu;
            TILE(32, 32, 32, 2, 2, 3))
GEMM_KERNEL(gemm_patches_writes, c.op.a = GemmA::patches; c.op.writes_row_sums = true; TILE(32, 32, 32, 2, 1, 3))
// B as (k, n)
GEMM_KERNEL(gemm_k_by_n, c.op.b = GemmB::k_by_n)
GEMM_KERNEL(gemm_k_by_n_narrow, c.op.b = GemmB::k_by_n; TILE(16, 8, 16, 1, 1, 2))
GEMM_KERNEL(gemm_k_by_n_odd, c.op.b = GemmB::k_by_n; c.op.dtype = Dtype::bf16; TILE(32, 48, 64, 1, 2, 3))
GEMM_KERNEL(gemm_k_by_n_80, c.op.b = GemmB::k_by_n; TILE(32, 80, 32, 2, 1, 3); c.tile.split_k = 2)
// A from patches
GEMM_KERNEL(gemm_patches_16, c.op.a = GemmA::patches; c.op.bias = true)
GEMM_KERNEL(gemm_patches_8, c.op.a = GemmA::patches; c.op.patch_copy_bytes = 8; TILE(16, 64, 64, 1, 4, 3))
GEMM_KERNEL(gemm_patches_4, c.op.a = GemmA::patches; c.op.patch_copy_bytes = 4; c.op.residual = true; c.op.bias = true;
            TILE(32, 32, 64, 1, 2, 4))
GEMM_KERNEL(gemm_patches_split, c.op.a = GemmA::patches; c.op.patch_copy_bytes = 4; TILE(16, 32, 16, 1, 2, 2);
            c.tile.split_k = 3)
GEMM_KERNEL(gemm_patches_bf16, c.op.dtype = Dtype::bf16; c.op.a = GemmA::patches; c.op.patch_copy_bytes = 4;
            c.op.bias = true; TILE(32, 32, 32, 2, 1, 3))

namespace {

using testing::AlignedBytes;
using testing::Matrix16;

struct Kernel {
  const char* name;
  GemmConfig config;
  emulator::KernelEntry entry;
};
#define KERNEL(name) \
  Kernel { #name, name##_config::value, &name }

struct Sizes {
  int m, n, k;
};

float activation_reference(Activation activation, double x, double& y) {
  constexpr double kPi = 3.14159265358979323846;
  switch (activation) {
    case Activation::none:
      y = x;
      break;
    case Activation::gelu:
      y = 0.5 * x * std::erfc(-x / std::sqrt(2.0));
      break;
    case Activation::gelu_tanh:
      y = 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / kPi) * (x + 0.044715 * x * x * x)));
      break;
    case Activation::quick_gelu:
      y = x / (1.0 + std::exp(-1.702 * x));
      break;
    case Activation::silu:
      y = x / (1.0 + std::exp(-x));
      break;
  }
  return static_cast<float>(y);
}

// A problem with its operands, in exact-size allocations.
class Problem {
 public:
  Problem(const GemmConfig& config, Sizes sizes, int batch = 1)
      : config_(config),
        sizes_(sizes),
        batch_(batch),
        a_(dtype(), sizes.m * batch, sizes.k),
        b_(dtype(), batch * (transposed() ? sizes.k : sizes.n), transposed() ? sizes.n : sizes.k),
        c_(dtype(), sizes.m * batch, sizes.n, 0, 0xff),
        residual_(dtype(), residual_rows(), sizes.n),
        bias_(static_cast<std::size_t>(sizes.n) * 4),
        fold_sum_(static_cast<std::size_t>(sizes.n) * 4),
        workspace_(static_cast<std::size_t>(gemm_workspace_bytes(config, sizes.m, sizes.n, batch)), 0xff),
        counters_(static_cast<std::size_t>(gemm_counter_count(config, sizes.m, sizes.n, batch)) * 4),
        row_sums_in_(config.op.reads_row_sums ? static_cast<std::size_t>(kRowSumTiles * sizes.m) * 8 : 0),
        row_sums_out_(config.op.writes_row_sums ? static_cast<std::size_t>(column_tiles() * sizes.m) * 8 : 0, 0xff) {
    // With a layer norm the rows have a mean, so that folding it away matters.
    a_.fill_normal(1, config.op.layer_norm ? 0.7f : 0.0f, 1.0f);
    b_.fill_normal(2, 0.0f, 1.0f / std::sqrt(static_cast<float>(sizes.k)));
    residual_.fill_normal(3, 0.0f, 1.0f);
    fill_columns();
    if (config.op.reads_row_sums) fill_row_sums();
  }

  GemmParams params() const {
    GemmParams p{};
    p.a = a_.data();
    p.b = b_.data();
    p.c = c_.data();
    p.bias = reinterpret_cast<const float*>(bias_.data());
    p.fold_sum = reinterpret_cast<const float*>(fold_sum_.data());
    p.residual = residual_.data();
    p.workspace = reinterpret_cast<float*>(workspace_.data());
    p.counters = reinterpret_cast<u32*>(counters_.data());
    p.m = sizes_.m, p.n = sizes_.n, p.k = sizes_.k;
    p.lda = a_.ld(), p.ldb = b_.ld(), p.ldc = c_.ld(), p.ld_residual = residual_.ld();
    p.residual_rows = residual_.rows();
    p.layer_norm_epsilon = 1e-5f;
    p.row_sums_in = reinterpret_cast<const float*>(row_sums_in_.data());
    p.row_sums_out = reinterpret_cast<float*>(row_sums_out_.data());
    p.row_sum_tiles = kRowSumTiles;
    p.batch = batch_, p.batch_inner = 1;
    p.a_stride_outer = static_cast<i64>(sizes_.m) * a_.ld();
    p.b_stride_outer = static_cast<i64>(transposed() ? sizes_.k : sizes_.n) * b_.ld();
    p.c_stride_outer = static_cast<i64>(sizes_.m) * c_.ld();
    return p;
  }

  // The fp64 result in C's layout, padding columns (zero) included.
  std::vector<double> reference() const {
    std::vector<double> result(static_cast<std::size_t>(c_.rows()) * static_cast<std::size_t>(c_.ld()), 0.0);
    const std::vector<float> a = a_.floats();
    for (int row = 0; row < c_.rows(); ++row) {
      const std::span<const float> a_row(a.data() + static_cast<std::ptrdiff_t>(row) * a_.ld(),
                                         static_cast<std::size_t>(sizes_.k));
      reference_row(row, a_row, result);
    }
    return result;
  }

  // One row of C from one row of A, for any origin of the latter.
  void reference_row(int row, std::span<const float> a_row, std::vector<double>& result) const {
    if (b_floats_.empty()) b_floats_ = b_.floats(), residual_floats_ = residual_.floats();
    const float* bias = reinterpret_cast<const float*>(bias_.data());
    const float* fold_sum = reinterpret_cast<const float*>(fold_sum_.data());
    double sum = 0.0, sum_squares = 0.0;
    for (const float value : a_row) sum += value, sum_squares += static_cast<double>(value) * value;
    const double mean = sum / sizes_.k;
    const double rstd = 1.0 / std::sqrt(sum_squares / sizes_.k - mean * mean + 1e-5);
    for (int n = 0; n < sizes_.n; ++n) {
      double x = 0.0;
      for (int k = 0; k < sizes_.k; ++k) x += static_cast<double>(a_row[static_cast<std::size_t>(k)]) * b_at(row, n, k);
      if (config_.op.layer_norm) x = rstd * (x - mean * fold_sum[n]);
      if (config_.op.bias) x += bias[n];
      activation_reference(config_.op.activation, x, x);
      if (config_.op.residual) x += residual_floats_[index(row % sizes_.m % residual_.rows(), residual_.ld(), n)];
      result[index(row, c_.ld(), n)] = x;
    }
  }

  // What was left of a row of C, over all tiles of columns: sum and sum of squares.
  std::pair<double, double> row_sums_left(int row) const {
    std::pair<double, double> total{0, 0};
    const float* sums = reinterpret_cast<const float*>(row_sums_out_.data());
    for (int tile = 0; tile < column_tiles(); ++tile) {
      total.first += sums[2 * (tile * sizes_.m + row)];
      total.second += sums[2 * (tile * sizes_.m + row) + 1];
    }
    return total;
  }
  const AlignedBytes& row_sums_bytes() const { return row_sums_out_; }

  void reset() const {
    std::memset(c_.data(), 0xff, c_.bytes().size());
    if (row_sums_out_.size() > 0) std::memset(row_sums_out_.data(), 0xff, row_sums_out_.size());
    std::memset(workspace_.data(), 0xff, workspace_.size());
  }
  bool counters_are_zero() const {
    return std::all_of(counters_.data(), counters_.data() + counters_.size(),
                       [](std::byte b) { return b == std::byte{0}; });
  }
  const Matrix16& c() const { return c_; }

 private:
  Dtype dtype() const { return config_.op.dtype; }
  bool transposed() const { return config_.op.b == GemmB::k_by_n; }
  int column_tiles() const { return ceil_div(sizes_.n, config_.tile.block_n); }
  // Each tile a part of the columns, some of them empty.
  void fill_row_sums() const {
    const std::vector<float> a = a_.floats();
    float* sums = reinterpret_cast<float*>(row_sums_in_.data());
    for (int tile = 0; tile < kRowSumTiles; ++tile) {
      for (int row = 0; row < sizes_.m; ++row) {
        double sum = 0, squares = 0;
        for (int k = tile * sizes_.k / kRowSumTiles; k < (tile + 1) * sizes_.k / kRowSumTiles; ++k) {
          const double value = a[index(row, a_.ld(), k)];
          sum += value, squares += value * value;
        }
        sums[2 * (tile * sizes_.m + row)] = static_cast<float>(sum);
        sums[2 * (tile * sizes_.m + row) + 1] = static_cast<float>(squares);
      }
    }
  }
  // Fewer rows than C: the residual repeats, as a position table does over the images of a batch.
  int residual_rows() const { return sizes_.m > 3 ? sizes_.m - sizes_.m / 3 : sizes_.m; }
  static std::size_t index(int row, int ld, int column) {
    return static_cast<std::size_t>(row) * static_cast<std::size_t>(ld) + static_cast<std::size_t>(column);
  }
  double b_at(int row, int n, int k) const {
    const int item = row / sizes_.m;
    return transposed() ? b_floats_[index(item * sizes_.k + k, b_.ld(), n)]
                        : b_floats_[index(item * sizes_.n + n, b_.ld(), k)];
  }
  void fill_columns() const {
    const std::vector<float> b = b_.floats();
    float* bias = reinterpret_cast<float*>(bias_.data());
    float* fold_sum = reinterpret_cast<float*>(fold_sum_.data());
    for (int n = 0; n < sizes_.n; ++n) {
      bias[n] = 0.5f * std::sin(static_cast<float>(n));
      double sum = 0.0;
      for (int k = 0; k < sizes_.k; ++k) sum += transposed() ? b[index(k, b_.ld(), n)] : b[index(n, b_.ld(), k)];
      fold_sum[n] = static_cast<float>(sum);
    }
  }

  static constexpr int kRowSumTiles = 37;  // more than the threads of a row read at once

  GemmConfig config_;
  Sizes sizes_;
  int batch_;
  Matrix16 a_, b_, c_, residual_;
  AlignedBytes bias_, fold_sum_, workspace_, counters_, row_sums_in_, row_sums_out_;
  mutable std::vector<float> b_floats_, residual_floats_;
};

emulator::LaunchRequest request_for(const Kernel& kernel, const GemmParams& params) {
  const Grid3 grid = gemm_grid(kernel.config, params.m, params.n, params.batch);
  return {.entry = kernel.entry,
          .params = &params,
          .grid = {grid.x, grid.y, grid.z},
          .threads = kernel.config.threads(),
          .smem_bytes = kernel.config.smem_bytes(),
          .variant = {}};
}

void run_once(const Kernel& kernel, const GemmParams& params) {
  const emulator::LaunchOutcome outcome = emulator::run_grid(request_for(kernel, params));
  ASSERT_TRUE(outcome.ok()) << emulator::to_string(*outcome.fault);
}

void check(const Kernel& kernel, Sizes sizes, int batch = 1) {
  SCOPED_TRACE(fmt::format("{} m={} n={} k={} batch={}", kernel.name, sizes.m, sizes.n, sizes.k, batch));
  ASSERT_EQ(gemm_infeasible(kernel.config), nullptr);
  const Problem problem(kernel.config, sizes, batch);
  const GemmParams params = problem.params();
  run_once(kernel, params);
  testing::expect_close(problem.reference(), problem.c().floats(), kernel.config.op.dtype);
  EXPECT_TRUE(problem.counters_are_zero());
}

constexpr Sizes kRagged[] = {{1, 8, 8}, {7, 100, 72}, {50, 77, 264}, {77, 200, 136}};

TEST(Gemm, TilesOfAllShapes) {
  for (const Kernel& kernel : {KERNEL(gemm_64x64x32), KERNEL(gemm_16x64x64), KERNEL(gemm_32x24x32),
                               KERNEL(gemm_64x96x16), KERNEL(gemm_128x128x32), KERNEL(gemm_48x80x32)}) {
    for (const Sizes& sizes : kRagged) check(kernel, sizes);
  }
  check(KERNEL(gemm_16x8x16), {7, 20, 72});
  check(KERNEL(gemm_16x8x16), {33, 9, 13});
}

TEST(Gemm, Epilogues) {
  for (const Kernel& kernel : {KERNEL(gemm_bf16_bias_gelu), KERNEL(gemm_bias_gelu_tanh), KERNEL(gemm_bias_quick_gelu),
                               KERNEL(gemm_silu_residual), KERNEL(gemm_bf16_bias_residual)}) {
    for (const Sizes& sizes : kRagged) check(kernel, sizes);
  }
}

TEST(Gemm, LayerNorm) {
  for (const Kernel& kernel : {KERNEL(gemm_norm), KERNEL(gemm_norm_turns), KERNEL(gemm_bf16_norm)}) {
    for (const Sizes& sizes : kRagged) check(kernel, sizes);
  }
}

TEST(Gemm, LayerNormOfGivenRowSums) {
  for (const Kernel& kernel : {KERNEL(gemm_reads), KERNEL(gemm_reads_shared), KERNEL(gemm_reads_tall),
                               KERNEL(gemm_bf16_reads_split), KERNEL(gemm_reads_and_writes)}) {
    for (const Sizes& sizes : kRagged) check(kernel, sizes);
  }
}

// Of rows before they are rounded, and of no column beyond C.
void expect_row_sums(const Problem& problem, const std::vector<double>& reference) {
  const int ld = problem.c().ld();
  for (int row = 0; row < problem.c().rows(); ++row) {
    double sum = 0, squares = 0;
    for (int column = 0; column < ld; ++column) {  // padding is zero
      const double value =
          reference[static_cast<std::size_t>(row) * static_cast<std::size_t>(ld) + static_cast<std::size_t>(column)];
      sum += value, squares += value * value;
    }
    const auto [left_sum, left_squares] = problem.row_sums_left(row);
    ASSERT_NEAR(left_sum, sum, 1e-4 * std::sqrt(squares * ld)) << "row " << row;
    ASSERT_NEAR(left_squares, squares, 1e-4 * squares) << "row " << row;
  }
}

TEST(Gemm, LeavesRowSums) {
  for (const Kernel& kernel : {KERNEL(gemm_writes), KERNEL(gemm_writes_shared), KERNEL(gemm_bf16_writes_sliced),
                               KERNEL(gemm_writes_split), KERNEL(gemm_reads_and_writes)}) {
    for (const Sizes& sizes : kRagged) {
      SCOPED_TRACE(fmt::format("{} m={} n={} k={}", kernel.name, sizes.m, sizes.n, sizes.k));
      const Problem problem(kernel.config, sizes);
      run_once(kernel, problem.params());
      const std::vector<double> reference = problem.reference();
      testing::expect_close(reference, problem.c().floats(), kernel.config.op.dtype);
      expect_row_sums(problem, reference);
    }
  }
}

TEST(Gemm, RowSumsHaveTheSameBitsInEveryOrder) {
  for (const Kernel& kernel : {KERNEL(gemm_writes), KERNEL(gemm_writes_shared), KERNEL(gemm_bf16_writes_sliced),
                               KERNEL(gemm_writes_split), KERNEL(gemm_reads_and_writes)}) {
    SCOPED_TRACE(kernel.name);
    const Problem problem(kernel.config, {50, 77, 136});
    const GemmParams params = problem.params();
    testing::expect_identical_in_all_variants(request_for(kernel, params), problem.row_sums_bytes(),
                                              [&] { problem.reset(); });
  }
}

TEST(Gemm, SplitK) {
  for (const Kernel& kernel : {KERNEL(gemm_split3), KERNEL(gemm_split4_all)}) {
    for (const Sizes& sizes : kRagged) check(kernel, sizes);
  }
  check(KERNEL(gemm_split16), {20, 24, 72});  // more splits than tiles along k
  check(KERNEL(gemm_split3), {50, 40, 264}, 2);
}

TEST(Gemm, SlicedK) {
  for (const Kernel& kernel :
       {KERNEL(gemm_sliced2), KERNEL(gemm_sliced4_all), KERNEL(gemm_sliced4_tall), KERNEL(gemm_bf16_sliced2_k_by_n)}) {
    for (const Sizes& sizes : kRagged) check(kernel, sizes);
  }
}

TEST(Gemm, KByN) {
  for (const Kernel& kernel : {KERNEL(gemm_k_by_n), KERNEL(gemm_k_by_n_odd), KERNEL(gemm_k_by_n_80)}) {
    for (const Sizes& sizes : kRagged) check(kernel, sizes);
    check(kernel, {20, 64, 77});
  }
  check(KERNEL(gemm_k_by_n_narrow), {17, 20, 50});
}

// Attention without fusion: one head of a packed QKV product is a slice, whose neighbours are neither read nor written.
TEST(Gemm, BatchedSlices) {
  constexpr int kBatch = 2, kHeads = 3, kTokens = 11, kHeadDim = 24, kWidth = kHeads * kHeadDim;
  const Kernel kernel = KERNEL(gemm_k_by_n);
  Matrix16 scores(Dtype::f16, kBatch * kHeads * kTokens, kTokens);
  Matrix16 qkv(Dtype::f16, kBatch * kTokens, 3 * kWidth);
  const Matrix16 out(Dtype::f16, kBatch * kTokens, kWidth, kWidth + 8, 0x3c);
  scores.fill_normal(1, 0.0f, 1.0f);
  qkv.fill_normal(2, 0.0f, 1.0f);
  GemmParams params{};
  params.a = scores.data();
  params.b = static_cast<const u16*>(qkv.data()) + 2 * kWidth;
  params.c = out.data();
  params.m = kTokens, params.n = kHeadDim, params.k = kTokens;
  params.lda = scores.ld(), params.ldb = qkv.ld(), params.ldc = out.ld();
  params.batch = kBatch * kHeads, params.batch_inner = kHeads;
  params.a_stride_inner = kTokens * scores.ld(), params.a_stride_outer = kHeads * params.a_stride_inner;
  params.b_stride_inner = kHeadDim, params.b_stride_outer = kTokens * qkv.ld();
  params.c_stride_inner = kHeadDim, params.c_stride_outer = kTokens * out.ld();
  run_once(kernel, params);

  const std::vector<float> p = scores.floats(), x = qkv.floats(), y = out.floats();
  std::vector<double> reference(y.begin(), y.end());  // the columns beyond the width keep what they held
  for (int row = 0; row < kBatch * kTokens; ++row) {
    for (int column = 0; column < kWidth; ++column) {
      const int batch = row / kTokens, head = column / kHeadDim;
      double sum = 0.0;
      for (int t = 0; t < kTokens; ++t) {
        const int p_row = (batch * kHeads + head) * kTokens + row % kTokens;
        sum += static_cast<double>(p[static_cast<std::size_t>(p_row * scores.ld() + t)]) *
               x[static_cast<std::size_t>((batch * kTokens + t) * qkv.ld() + 2 * kWidth + column)];
      }
      reference[static_cast<std::size_t>(row * out.ld() + column)] = sum;
    }
    const float untouched = y[static_cast<std::size_t>(row * out.ld() + kWidth)];
    EXPECT_GT(untouched, 1.0f);
    EXPECT_LT(untouched, 1.1f);
  }
  testing::expect_close(reference, y, Dtype::f16);
}

struct Images {
  int count, channels, height, width, patch;
};

// Row (image, patch), column (channel, y, x padded to patch_ld).
std::vector<float> patch_row(const Images& images, const std::vector<float>& pixels, int row) {
  const int patches_x = images.width / images.patch, patches = patches_x * (images.height / images.patch);
  const int patch_ld = round_up(images.patch, 8);
  std::vector<float> result(static_cast<std::size_t>(images.channels * images.patch * patch_ld), 0.0f);
  const int image = row / patches, y0 = row % patches / patches_x * images.patch, x0 = row % patches_x * images.patch;
  for (int channel = 0; channel < images.channels; ++channel) {
    for (int y = 0; y < images.patch; ++y) {
      for (int x = 0; x < images.patch; ++x) {
        const int pixel = ((image * images.channels + channel) * images.height + y0 + y) * images.width + x0 + x;
        result[static_cast<std::size_t>((channel * images.patch + y) * patch_ld + x)] =
            pixels[static_cast<std::size_t>(pixel)];
      }
    }
  }
  return result;
}

// A product whose A is read from images.
class PatchProblem {
 public:
  PatchProblem(const GemmConfig& config, const Images& images, int n)
      : images_(images),
        sizes_{images.count * (images.height / images.patch) * (images.width / images.patch), n,
               images.channels * images.patch * round_up(images.patch, 8)},
        problem_(config, sizes_),
        image_(config.op.dtype, images.count * images.channels * images.height, images.width, images.width) {
    image_.fill_normal(5, 0.0f, 1.0f);
  }

  GemmParams params() const {
    GemmParams params = problem_.params();
    params.a = image_.data();
    params.channels = images_.channels, params.patch = images_.patch;
    params.image_h = images_.height, params.image_w = images_.width;
    return params;
  }
  std::vector<double> reference() const {
    std::vector<double> reference(problem_.c().bytes().size() / 2, 0.0);
    const std::vector<float> pixels = image_.floats();
    for (int row = 0; row < sizes_.m; ++row) problem_.reference_row(row, patch_row(images_, pixels, row), reference);
    return reference;
  }
  const Problem& product() const { return problem_; }

 private:
  Images images_;
  Sizes sizes_;
  Problem problem_;
  Matrix16 image_;
};

void check_patches(const Kernel& kernel, const Images& images, int n) {
  SCOPED_TRACE(fmt::format("{} {} images {}x{}x{} patch {}", kernel.name, images.count, images.channels, images.height,
                           images.width, images.patch));
  const PatchProblem problem(kernel.config, images, n);
  run_once(kernel, problem.params());
  testing::expect_close(problem.reference(), problem.product().c().floats(), kernel.config.op.dtype);
}

TEST(Gemm, Patches) {
  check_patches(KERNEL(gemm_patches_16), {2, 3, 64, 96, 32}, 40);
  check_patches(KERNEL(gemm_patches_16), {1, 3, 48, 32, 16}, 24);
  check_patches(KERNEL(gemm_patches_8), {2, 2, 24, 36, 12}, 40);
  check_patches(KERNEL(gemm_patches_4), {2, 3, 42, 56, 14}, 40);
  check_patches(KERNEL(gemm_patches_4), {1, 3, 30, 44, 14}, 20);  // the image is not a whole number of patches
  check_patches(KERNEL(gemm_patches_split), {1, 1, 28, 28, 14}, 40);
}

TEST(Gemm, PatchesLeaveRowSums) {
  const Kernel kernel = KERNEL(gemm_patches_writes);
  const PatchProblem problem(kernel.config, {1, 3, 48, 32, 16}, 44);
  run_once(kernel, problem.params());
  expect_row_sums(problem.product(), problem.reference());
}

// All variants of one launch, of which the last leaves its result.
void expect_same_bits(const Kernel& kernel, const GemmParams& params, const Problem& problem) {
  testing::expect_identical_in_all_variants(request_for(kernel, params), problem.c().bytes(), [&] { problem.reset(); });
  EXPECT_TRUE(problem.counters_are_zero());
}

TEST(Gemm, SameBitsInEveryOrder) {
  for (const Kernel& kernel :
       {KERNEL(gemm_64x64x32), KERNEL(gemm_norm_turns), KERNEL(gemm_split4_all), KERNEL(gemm_split16),
        KERNEL(gemm_silu_residual), KERNEL(gemm_64x96x16), KERNEL(gemm_k_by_n_80), KERNEL(gemm_16x64x64),
        KERNEL(gemm_bf16_norm), KERNEL(gemm_bf16_bias_residual), KERNEL(gemm_k_by_n_odd), KERNEL(gemm_sliced2),
        KERNEL(gemm_sliced4_all), KERNEL(gemm_bf16_sliced2_k_by_n), KERNEL(gemm_reads), KERNEL(gemm_reads_shared),
        KERNEL(gemm_reads_tall), KERNEL(gemm_bf16_reads_split)}) {
    SCOPED_TRACE(kernel.name);
    const Problem problem(kernel.config, {50, 77, 136});  // n is no multiple of 8: C is padded
    expect_same_bits(kernel, problem.params(), problem);
  }
}

TEST(Gemm, PatchesGiveTheSameBitsInEveryOrder) {
  const auto check_all = [](const Kernel& kernel, const Images& images, int n) {
    SCOPED_TRACE(kernel.name);
    const PatchProblem problem(kernel.config, images, n);
    expect_same_bits(kernel, problem.params(), problem.product());
    testing::expect_close(problem.reference(), problem.product().c().floats(), kernel.config.op.dtype);
  };
  check_all(KERNEL(gemm_patches_16), {1, 3, 32, 48, 16}, 44);
  check_all(KERNEL(gemm_patches_8), {2, 2, 24, 24, 12}, 40);
  check_all(KERNEL(gemm_patches_bf16), {1, 3, 30, 44, 14}, 21);
  check_all(KERNEL(gemm_patches_split), {1, 1, 28, 28, 14}, 40);
}

// A constant row has no variance, and the rounded one may come out below zero.
TEST(Gemm, LayerNormOfConstantRows) {
  const Kernel kernel = KERNEL(gemm_norm);
  const Problem problem(kernel.config, {20, 24, 72});
  Matrix16 constant(Dtype::f16, 20, 72);
  constant.fill_normal(1, 3.3f, 0.0f);
  GemmParams params = problem.params();
  params.a = constant.data();
  run_once(kernel, params);
  for (const float value : problem.c().floats()) ASSERT_TRUE(std::isfinite(value));
}

TEST(GemmConfig, NamesWhatIsInfeasible) {
  const auto reason = [](auto change) {
    GemmConfig config{};
    change(config);
    const char* text = gemm_infeasible(config);
    return std::string(text == nullptr ? "" : text);
  };
  EXPECT_EQ(reason([](GemmConfig&) {}), "");
  EXPECT_EQ(reason([](GemmConfig& c) { c.op.dtype = Dtype::f32; }), "dtype must be f16 or bf16");
  EXPECT_EQ(reason([](GemmConfig& c) { c.tile.block_m = 48; }), "block_m must be a multiple of 16 * warps_m");
  EXPECT_EQ(reason([](GemmConfig& c) { c.op.reads_row_sums = true; }), "only a layer norm reads the sums of rows");
  EXPECT_EQ(reason([](GemmConfig& c) { c.tile.warps_m = 0; }), "warps_m and warps_n must be at least 1");
  EXPECT_EQ(reason([](GemmConfig& c) { c.tile.stages = 1; }), "stages must be 2 to 12");
  EXPECT_EQ(reason([](GemmConfig& c) { c.tile.block_k = 48; }), "block_k must be 16, 32, 64 or 128");
  EXPECT_EQ(reason([](GemmConfig& c) { c.tile.warps_k = 4; }), "block_k must be a multiple of 16 * warps_k");
  EXPECT_EQ(reason([](GemmConfig& c) { c.tile.block_m = c.tile.block_n = 256; }),
            "the warp's tile needs more than 255 registers a thread");
}

TEST(GemmConfig, GridAndWorkspaceCoverTheProblem) {
  GemmConfig config{};
  config.tile.split_k = 3;
  config.op.layer_norm = true;
  const Grid3 grid = gemm_grid(config, 65, 129, 2);
  EXPECT_EQ(grid.x, 2);
  EXPECT_EQ(grid.y, 3);
  EXPECT_EQ(grid.z, 6);
  EXPECT_EQ(gemm_counter_count(config, 65, 129, 2), 12);
  EXPECT_EQ(gemm_workspace_bytes(config, 65, 129, 2), 12 * 3 * (64 * 64 * 4 + 64 * 8));
  config.op.reads_row_sums = true;
  EXPECT_EQ(gemm_workspace_bytes(config, 65, 129, 2), 12 * 3 * 64 * 64 * 4);
}

}  // namespace
}  // namespace duet
