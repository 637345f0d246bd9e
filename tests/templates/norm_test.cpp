// The row kernels in the emulator, against double precision.
#include "templates/norm.cuh"

#include "tests/templates/kernel_harness.h"

namespace duet {
namespace {

constexpr NormConfig make_norm(RowFunction function, Dtype dtype, Dtype out_dtype, bool residual, NormTile tile) {
  NormConfig config{};
  config.op.function = function;
  config.op.dtype = dtype;
  config.op.out_dtype = out_dtype;
  config.op.residual = residual;
  config.tile = tile;
  return config;
}

}  // namespace

#define NORM_KERNEL(name, ...)                                  \
  struct name##_entry {                                         \
    static constexpr NormConfig value = make_norm(__VA_ARGS__); \
  };                                                            \
  DUET_KERNEL(name, NormParams, name##_entry::value.threads(), 1) { norm<name##_entry>(params); }

// Tiles: {warps_per_row, rows_per_block, cached_vectors}
NORM_KERNEL(ln_f16, RowFunction::layer_norm, Dtype::f16, Dtype::f16, false, {1, 4, 4})
NORM_KERNEL(ln_bf16_residual, RowFunction::layer_norm, Dtype::bf16, Dtype::bf16, true, {2, 3, 1})
NORM_KERNEL(ln_f16_wide, RowFunction::layer_norm, Dtype::f16, Dtype::f32, true, {8, 1, 2})
NORM_KERNEL(ln_f16_uncached, RowFunction::layer_norm, Dtype::f16, Dtype::f16, true, {3, 2, 0})
NORM_KERNEL(ln_f32, RowFunction::layer_norm, Dtype::f32, Dtype::f32, false, {4, 2, 8})
NORM_KERNEL(l2_f16, RowFunction::l2_normalize, Dtype::f16, Dtype::f32, false, {1, 2, 4})
NORM_KERNEL(l2_f32, RowFunction::l2_normalize, Dtype::f32, Dtype::bf16, false, {4, 1, 1})
NORM_KERNEL(softmax_f16, RowFunction::softmax, Dtype::f16, Dtype::f16, false, {1, 4, 4})
NORM_KERNEL(softmax_bf16, RowFunction::softmax, Dtype::bf16, Dtype::bf16, false, {2, 2, 2})
NORM_KERNEL(softmax_f16_wide, RowFunction::softmax, Dtype::f16, Dtype::f32, true, {4, 2, 0})

namespace {

using namespace duet::testing;

struct NormKernel {
  const char* name;
  emulator::KernelEntry entry;
  NormConfig config;
};

#define NORM_CASE(name) \
  NormKernel { #name, name, name##_entry::value }

using Kernels = std::span<const NormKernel>;

const NormKernel kLayerNorms[] = {NORM_CASE(ln_f16), NORM_CASE(ln_bf16_residual), NORM_CASE(ln_f16_wide),
                                  NORM_CASE(ln_f16_uncached), NORM_CASE(ln_f32)};
const NormKernel kL2Norms[] = {NORM_CASE(l2_f16), NORM_CASE(l2_f32)};
const NormKernel kSoftmaxes[] = {NORM_CASE(softmax_f16), NORM_CASE(softmax_bf16), NORM_CASE(softmax_f16_wide)};

struct Size {
  int rows, columns;
};
const Size kSizes[] = {{1, 1}, {3, 7}, {9, 8}, {5, 77}, {6, 264}, {4, 768}, {2, 1152}, {3, 4307}};

// One problem with all operands; leading dimensions differ so that no kernel can mix them up.
struct NormProblem {
  NormConfig config;
  GuardedMatrix x, residual, gamma, beta, out, sum;

  NormProblem(const NormConfig& norm, Size size, Random& random, double mean = 0.0)
      : config(norm),
        x(random.matrix(norm.op.dtype, size.rows, size.columns, round_up(size.columns, 8), mean)),
        residual(random.matrix(norm.op.dtype, size.rows, size.columns, round_up(size.columns, 8) + 8)),
        gamma(random.vector(size.columns, 1.0)),
        beta(random.vector(size.columns)),
        out(norm.op.out_dtype, size.rows, size.columns, round_up(size.columns, 8) + 24),
        sum(norm.op.dtype, size.rows, size.columns, round_up(size.columns, 8) + 16) {}

  NormParams params() {
    return NormParams{.x = x.data(),
                      .residual = residual.data(),
                      .gamma = gamma.as<float>(),
                      .beta = beta.as<float>(),
                      .out = out.data(),
                      .sum = sum.data(),
                      .rows = x.rows(),
                      .columns = x.columns(),
                      .ldx = x.ld(),
                      .ldr = residual.ld(),
                      .ldo = out.ld(),
                      .lds = sum.ld(),
                      .epsilon = 1e-5f};
  }

  void run(const NormKernel& kernel, Runs runs = Runs::two) {
    const NormParams arguments = params();
    std::vector<GuardedMatrix*> outputs{&out};
    if (config.op.residual) outputs.push_back(&sum);
    run_kernel<NormParams>({.entry = kernel.entry,
                            .grid = norm_grid(config, arguments.rows),
                            .threads = config.threads(),
                            .smem_bytes = config.smem_bytes(),
                            .params = arguments},
                           outputs, runs);
  }

  // The row before the function is applied, in double precision.
  std::vector<double> input_row(int row) const {
    std::vector<double> values = row_of(x, row);
    if (!config.op.residual) return values;
    for (int column = 0; column < x.columns(); ++column) {
      values[static_cast<std::size_t>(column)] += residual.get(row, column);
    }
    return values;
  }

  template <class Function>
  void expect_rows(const Function& function, double scale = 1.0) const {
    expect_rows_match(
        out, [&](int row) { return function(input_row(row)); }, scale);
    if (config.op.residual) {
      expect_matches(sum, [&](int row, int column) { return x.get(row, column) + residual.get(row, column); });
    }
  }

  void expect_layer_norm(double scale = 1.0) const {
    const auto reference = [this](std::vector<double> row) {
      layer_norm_reference(row, gamma, beta, 1e-5);
      return row;
    };
    expect_rows(reference, scale);
  }
};

std::vector<double> softmax_reference(std::vector<double> row) {
  const double largest = *std::max_element(row.begin(), row.end());
  if (std::isinf(largest)) return std::vector<double>(row.size(), 0.0);
  double sum = 0.0;
  for (double& x : row) sum += x = std::exp(x - largest);
  for (double& x : row) x /= sum;
  return row;
}

template <class Check>
void for_each_size(Kernels kernels, const Check& check) {
  Random random(1);
  for (const NormKernel& kernel : kernels) {
    for (const Size size : kSizes) {
      SCOPED_TRACE(::testing::Message() << kernel.name << " (" << size.rows << ", " << size.columns << ")");
      NormProblem problem(kernel.config, size, random);
      check(kernel, problem);
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(Norm, LayerNormMatchesDoublePrecision) {
  for_each_size(kLayerNorms, [](const NormKernel& kernel, NormProblem& problem) {
    problem.run(kernel);
    problem.expect_layer_norm();
  });
}

TEST(Norm, L2NormalizeMatchesDoublePrecision) {
  for_each_size(kL2Norms, [](const NormKernel& kernel, NormProblem& problem) {
    problem.run(kernel);
    problem.expect_rows([](std::vector<double> row) {
      l2_normalize_reference(row);
      return row;
    });
  });
}

TEST(Norm, SoftmaxMatchesDoublePrecision) {
  for_each_size(kSoftmaxes, [](const NormKernel& kernel, NormProblem& problem) {
    problem.run(kernel);
    problem.expect_rows(softmax_reference);
  });
}

TEST(Norm, SoftmaxOfMaskedRowsIsExact) {
  Random random(2);
  for (const NormKernel& kernel : kSoftmaxes) {
    SCOPED_TRACE(kernel.name);
    NormProblem problem(kernel.config, {6, 300}, random);
    // Row r may attend to its first 60 r columns: row 0 to none.
    problem.x.fill([&](int row, int column) { return column < 60 * row ? random.normal(0, 20) : -INFINITY; });
    problem.run(kernel);
    problem.expect_rows(softmax_reference);
    for (int row = 0; row < 6; ++row) {
      for (int column = 60 * row; column < 300; ++column) ASSERT_EQ(problem.out.get(row, column), 0.0);
    }
  }
}

TEST(Norm, SoftmaxShowsNaN) {
  Random random(3);
  NormProblem problem(softmax_f16_entry::value, {1, 100}, random);
  problem.x.set(0, 50, NAN);
  problem.run(kSoftmaxes[0]);
  for (int column = 0; column < 100; ++column) EXPECT_TRUE(std::isnan(problem.out.get(0, column)));
}

// sum x^2 - mean^2 in fp32 would leave no digit of this variance.
TEST(Norm, VarianceSurvivesALargeMean) {
  Random random(4);
  NormProblem problem(ln_f32_entry::value, {3, 1000}, random, 3000.0);
  problem.run(kLayerNorms[4]);
  // A unit in the last place of the mean is 2.4e-4 of the deviation; a few of them add up.
  problem.expect_layer_norm(300.0);
}

TEST(Norm, ZeroRowsStayFinite) {
  Random random(5);
  for (const NormKernel& kernel : kL2Norms) {
    NormProblem problem(kernel.config, {2, 40}, random);
    problem.x.fill([](int, int) { return 0.0; });
    problem.run(kernel);
    expect_matches(
        problem.out, [](int, int) { return 0.0; }, 0.0);
  }
}

TEST(Norm, EveryThreadOrderGivesTheSameBits) {
  Random random(6);
  for (const Kernels kernels : {Kernels(kLayerNorms), Kernels(kL2Norms), Kernels(kSoftmaxes)}) {
    for (const NormKernel& kernel : kernels) {
      SCOPED_TRACE(kernel.name);
      NormProblem(kernel.config, {5, 333}, random).run(kernel, Runs::all_variants);
    }
  }
}

TEST(Norm, NamesWhatIsInfeasible) {
  EXPECT_EQ(norm_infeasible(NormConfig{}), nullptr);
  const auto with_tile = [](NormTile tile) {
    NormConfig config{};
    config.tile = tile;
    return norm_infeasible(config);
  };
  EXPECT_STREQ(with_tile({8, 8, 0}), "more than 1024 threads");
  EXPECT_STREQ(with_tile({2, 16, 0}), "more than 15 named barriers");
  EXPECT_EQ(with_tile({1, 16, 0}), nullptr);
  EXPECT_NE(with_tile({0, 1, 0}), nullptr);
  EXPECT_NE(with_tile({1, 4, 9}), nullptr);
  EXPECT_NE(with_tile({32, 1, 4}), nullptr);
  EXPECT_EQ(with_tile({32, 1, 2}), nullptr);
}

}  // namespace
}  // namespace duet
