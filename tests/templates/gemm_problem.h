// A product with its operands and its fp64 reference, to run the GEMM kernels on in the emulator.
#pragma once

#include <gtest/gtest.h>

#include "templates/gemm.cuh"
#include "tests/templates/matrix16.h"

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

#define READS_ROW_SUMS c.op.layer_norm = c.op.reads_row_sums = c.op.bias = true
#define WRITES_ROW_SUMS c.op.writes_row_sums = c.op.residual = c.op.bias = true

namespace duet::testing {

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

inline float activation_reference(Activation activation, double x, double& y) {
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
    p.map_a = map_of(a_, config_.tile.block_m);
    p.map_b = map_of(b_, config_.tile.block_n);
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
  static TensorMap map_of(const Matrix16& matrix, int box_rows) {
    const host::TiledMatrix tiled{reinterpret_cast<const u16*>(matrix.data()), matrix.rows(), matrix.columns(),
                                  matrix.ld(), box_rows};
    TensorMap map{};
    std::memcpy(map.bytes, &tiled, sizeof tiled);
    return map;
  }
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

inline emulator::LaunchRequest request_for(const Kernel& kernel, const GemmParams& params) {
  const Grid3 grid = gemm_grid(kernel.config, params.m, params.n, params.batch);
  return {.entry = kernel.entry,
          .params = &params,
          .grid = {grid.x, grid.y, grid.z},
          .threads = kernel.config.threads(),
          .smem_bytes = kernel.config.smem_bytes(),
          .variant = {}};
}

inline void run_once(const Kernel& kernel, const GemmParams& params) {
  const emulator::LaunchOutcome outcome = emulator::run_grid(request_for(kernel, params));
  ASSERT_TRUE(outcome.ok()) << emulator::to_string(*outcome.fault);
}

inline void check(const Kernel& kernel, Sizes sizes, int batch = 1) {
  SCOPED_TRACE(fmt::format("{} m={} n={} k={} batch={}", kernel.name, sizes.m, sizes.n, sizes.k, batch));
  ASSERT_EQ(gemm_infeasible(kernel.config), nullptr);
  const Problem problem(kernel.config, sizes, batch);
  const GemmParams params = problem.params();
  run_once(kernel, params);
  expect_close(problem.reference(), problem.c().floats(), kernel.config.op.dtype);
  EXPECT_TRUE(problem.counters_are_zero());
}

// Of rows before they are rounded, and of no column beyond C.
inline void expect_row_sums(const Problem& problem, const std::vector<double>& reference) {
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

inline void check_row_sums(const Kernel& kernel, Sizes sizes) {
  SCOPED_TRACE(fmt::format("{} m={} n={} k={}", kernel.name, sizes.m, sizes.n, sizes.k));
  const Problem problem(kernel.config, sizes);
  run_once(kernel, problem.params());
  const std::vector<double> reference = problem.reference();
  const std::vector<float> written = problem.c().floats();
  expect_close(reference, written, kernel.config.op.dtype);
  expect_row_sums(problem,
                  kernel.config.transposed() ? std::vector<double>(written.begin(), written.end()) : reference);
}

// All variants of one launch, of which the last leaves its result.
inline void expect_same_bits(const Kernel& kernel, const GemmParams& params, const Problem& problem) {
  expect_identical_in_all_variants(request_for(kernel, params), problem.c().bytes(), [&] { problem.reset(); });
  EXPECT_TRUE(problem.counters_are_zero());
}

constexpr Sizes kRagged[] = {{1, 8, 8}, {7, 100, 72}, {50, 77, 264}, {77, 200, 136}};

}  // namespace duet::testing
