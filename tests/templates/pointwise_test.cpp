// The pointwise kernels in the emulator: every step alone, and chains of them, against double precision.
#include "templates/pointwise.cuh"

#include "tests/templates/kernel_harness.h"

namespace duet {
namespace {

using Step = PointwiseStep;

constexpr PointwiseConfig make_pointwise(Dtype dtype, PointwiseTile tile, Step s0, Step s1 = Step::end,
                                         Step s2 = Step::end, Step s3 = Step::end) {
  PointwiseConfig config{};
  config.op.dtype = dtype;
  config.op.steps[0] = s0;
  config.op.steps[1] = s1;
  config.op.steps[2] = s2;
  config.op.steps[3] = s3;
  config.tile = tile;
  return config;
}

}  // namespace

#define POINTWISE_KERNEL(name, ...)                                       \
  struct name##_entry {                                                   \
    static constexpr PointwiseConfig value = make_pointwise(__VA_ARGS__); \
  };                                                                      \
  DUET_KERNEL(name, PointwiseParams, name##_entry::value.threads(), 1) { pointwise<name##_entry>(params); }

// Tiles: {threads, vectors_per_thread}
POINTWISE_KERNEL(copy_bf16, Dtype::bf16, {32, 1}, Step::end)
POINTWISE_KERNEL(add_matrix_f16, Dtype::f16, {64, 1}, Step::add_matrix)
POINTWISE_KERNEL(add_row_bf16, Dtype::bf16, {64, 2}, Step::add_row)
POINTWISE_KERNEL(add_table_f16, Dtype::f16, {96, 1}, Step::add_table)
POINTWISE_KERNEL(scale_f16, Dtype::f16, {32, 3}, Step::scale)
POINTWISE_KERNEL(gelu_f16, Dtype::f16, {64, 1}, Step::gelu)
POINTWISE_KERNEL(gelu_tanh_bf16, Dtype::bf16, {64, 1}, Step::gelu_tanh)
POINTWISE_KERNEL(quick_gelu_f16, Dtype::f16, {256, 8}, Step::quick_gelu)
POINTWISE_KERNEL(silu_f16, Dtype::f16, {64, 1}, Step::silu)
POINTWISE_KERNEL(causal_f16, Dtype::f16, {64, 1}, Step::causal_mask)
POINTWISE_KERNEL(padding_bf16, Dtype::bf16, {64, 2}, Step::padding_mask)
POINTWISE_KERNEL(scores_f16, Dtype::f16, {128, 2}, Step::scale, Step::causal_mask, Step::padding_mask)
POINTWISE_KERNEL(mlp_bf16, Dtype::bf16, {64, 4}, Step::add_row, Step::gelu, Step::add_matrix, Step::add_table)
POINTWISE_KERNEL(twice_f16, Dtype::f16, {64, 1}, Step::add_matrix, Step::scale, Step::add_matrix, Step::scale)

namespace {

using namespace duet::testing;

struct PointwiseKernel {
  const char* name;
  emulator::KernelEntry entry;
  PointwiseConfig config;
};

#define POINTWISE_CASE(name) \
  PointwiseKernel { #name, name, name##_entry::value }

const PointwiseKernel kKernels[] = {
    POINTWISE_CASE(copy_bf16),      POINTWISE_CASE(add_matrix_f16), POINTWISE_CASE(add_row_bf16),
    POINTWISE_CASE(add_table_f16),  POINTWISE_CASE(scale_f16),      POINTWISE_CASE(gelu_f16),
    POINTWISE_CASE(gelu_tanh_bf16), POINTWISE_CASE(quick_gelu_f16), POINTWISE_CASE(silu_f16),
    POINTWISE_CASE(causal_f16),     POINTWISE_CASE(padding_bf16),   POINTWISE_CASE(scores_f16),
    POINTWISE_CASE(mlp_bf16),       POINTWISE_CASE(twice_f16)};

struct Size {
  int rows, columns, ld;
};
const Size kSizes[] = {{1, 1, 8}, {3, 7, 16}, {12, 8, 8}, {14, 77, 80}, {6, 257, 288}, {5, 768, 768}};

constexpr int kTableRows = 4;
constexpr int kMaskQueries = 5;
constexpr int kRowsPerMask = 3;

struct PointwiseProblem {
  PointwiseConfig config;
  GuardedMatrix x, out;
  std::vector<GuardedMatrix> operands;  // by step; a placeholder where a step takes none
  float scalars[PointwiseOp::kMaxSteps] = {0.125f, -1.5f, 3.0f, 0.7f};

  PointwiseProblem(const PointwiseConfig& pointwise, Size size, Random& random)
      : config(pointwise),
        x(random.matrix(pointwise.op.dtype, size.rows, size.columns, size.ld, 0.0, 3.0)),
        out(pointwise.op.dtype, size.rows, size.columns, size.ld) {
    for (const Step step : config.op.steps) operands.push_back(make_operand(step, size, random));
  }

  GuardedMatrix make_operand(Step step, Size size, Random& random) const {
    const int ld = round_up(size.columns, 8) + 8;
    if (step == Step::add_row) return random.vector(size.columns);
    if (step == Step::add_matrix) return random.matrix(config.op.dtype, size.rows, size.columns, ld);
    if (step == Step::add_table) return random.matrix(config.op.dtype, kTableRows, size.columns, ld);
    if (step != Step::padding_mask) return GuardedMatrix(config.op.dtype, 1, 1, 8);
    // Without padding, as the text processor delivers it.
    GuardedMatrix mask(Dtype::i32, ceil_div(size.rows, kRowsPerMask), size.columns, size.columns);
    mask.fill([&](int, int) { return random.integer(0, 1); });
    return mask;
  }

  PointwiseParams params() {
    PointwiseParams arguments{};
    arguments.x = x.data();
    arguments.out = out.data();
    for (std::size_t i = 0; i < operands.size(); ++i) {
      arguments.operand[i] = operands[i].data();
      arguments.ld_operand[i] = operands[i].ld();
      arguments.scalar[i] = scalars[i];
    }
    arguments.rows = x.rows();
    arguments.columns = x.columns();
    arguments.ld = x.ld();
    arguments.table_rows = kTableRows;
    arguments.mask_queries = kMaskQueries;
    arguments.rows_per_mask = kRowsPerMask;
    return arguments;
  }

  void run(const PointwiseKernel& kernel, Runs runs = Runs::two) {
    const PointwiseParams arguments = params();
    run_kernel<PointwiseParams>({.entry = kernel.entry,
                                 .grid = pointwise_grid(config, x.rows(), x.ld()),
                                 .threads = config.threads(),
                                 .smem_bytes = config.smem_bytes(),
                                 .params = arguments},
                                {&out}, runs);
  }

  double expected(int row, int column) const {
    double value = x.get(row, column);
    for (std::size_t i = 0; i < operands.size() && config.op.steps[i] != Step::end; ++i) {
      value = apply(i, value, row, column);
    }
    return value;
  }

  double apply(std::size_t i, double value, int row, int column) const {
    const GuardedMatrix& operand = operands[i];
    switch (config.op.steps[i]) {
      case Step::end:
        return value;
      case Step::add_matrix:
        return value + operand.get(row, column);
      case Step::add_row:
        return value + operand.get(0, column);
      case Step::add_table:
        return value + operand.get(row % kTableRows, column);
      case Step::scale:
        return value * static_cast<double>(scalars[i]);
      case Step::gelu:
        return value * 0.5 * std::erfc(-value * std::sqrt(0.5));
      case Step::gelu_tanh: {
        const double u = std::sqrt(2 / std::acos(-1.0)) * (value + 0.044715 * value * value * value);
        return 0.5 * value * (1 + std::tanh(u));
      }
      case Step::quick_gelu:
        return value / (1 + std::exp(-1.702 * value));
      case Step::silu:
        return value / (1 + std::exp(-value));
      case Step::causal_mask:
        return column > row % kMaskQueries ? -INFINITY : value;
      case Step::padding_mask:
        return operand.get(row / kRowsPerMask, column) == 0.0 ? -INFINITY : value;
    }
    return NAN;
  }

  void expect_matches_reference() const {
    expect_matches(out, [this](int row, int column) { return expected(row, column); });
  }
};

TEST(Pointwise, MatchesDoublePrecision) {
  Random random(1);
  for (const PointwiseKernel& kernel : kKernels) {
    for (const Size size : kSizes) {
      SCOPED_TRACE(::testing::Message() << kernel.name << " (" << size.rows << ", " << size.columns << ")");
      PointwiseProblem problem(kernel.config, size, random);
      problem.run(kernel);
      problem.expect_matches_reference();
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Pointwise, EveryThreadOrderGivesTheSameBits) {
  Random random(2);
  for (const PointwiseKernel& kernel : kKernels) {
    SCOPED_TRACE(kernel.name);
    PointwiseProblem(kernel.config, {7, 45, 48}, random).run(kernel, Runs::all_variants);
  }
}

// Far from zero an activation is 0 or x: not NaN from infinity times zero.
TEST(Pointwise, ActivationsSaturate) {
  Random random(3);
  for (const PointwiseKernel& kernel : {kKernels[5], kKernels[6], kKernels[7], kKernels[8]}) {
    SCOPED_TRACE(kernel.name);
    PointwiseProblem problem(kernel.config, {1, 64, 64}, random);
    problem.x.fill([](int, int column) { return (column - 32) * 2000.0; });
    problem.run(kernel);
    problem.expect_matches_reference();
  }
}

// A masked score may be anything, and is minus infinity afterwards.
TEST(Pointwise, MasksOverwriteNaN) {
  Random random(4);
  for (const PointwiseKernel& kernel : {kKernels[9], kKernels[10]}) {
    SCOPED_TRACE(kernel.name);
    PointwiseProblem problem(kernel.config, {9, 30, 32}, random);
    for (int row = 0; row < 9; ++row) {
      for (int column = 0; column < 30; ++column) {
        if (std::isinf(problem.expected(row, column))) problem.x.set(row, column, NAN);
      }
    }
    problem.run(kernel);
    problem.expect_matches_reference();
  }
}

TEST(Pointwise, NamesWhatIsInfeasible) {
  const auto with_tile = [](PointwiseTile tile) { return pointwise_infeasible(make_pointwise(Dtype::f16, tile, {})); };
  EXPECT_EQ(with_tile({256, 1}), nullptr);
  EXPECT_NE(with_tile({48, 1}), nullptr);
  EXPECT_NE(with_tile({2048, 1}), nullptr);
  EXPECT_NE(with_tile({256, 0}), nullptr);
  EXPECT_NE(pointwise_infeasible(make_pointwise(Dtype::f32, {256, 1}, Step::scale)), nullptr);
}

TEST(Pointwise, GridCoversEveryVector) {
  const PointwiseConfig config = make_pointwise(Dtype::f16, {256, 2}, Step::gelu);
  EXPECT_EQ(pointwise_grid(config, 1, 8).x, 1);
  EXPECT_EQ(pointwise_grid(config, 512, 8).x, 1);
  EXPECT_EQ(pointwise_grid(config, 513, 8).x, 2);
  EXPECT_EQ(pointwise_grid(config, 1 << 20, 16384).x, 1 << 22);  // more than 2^31 elements
}

}  // namespace
}  // namespace duet
