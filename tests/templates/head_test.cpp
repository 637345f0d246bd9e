// The head kernels in the emulator, against double precision.
#include "templates/head.cuh"

#include "tests/templates/kernel_harness.h"

namespace duet {
namespace {

constexpr HeadConfig make_head(HeadOp op, HeadTile tile) {
  HeadConfig config{};
  config.op = op;
  config.tile = tile;
  return config;
}

}  // namespace

#define HEAD_KERNEL(name, ...)                                  \
  struct name##_entry {                                         \
    static constexpr HeadConfig value = make_head(__VA_ARGS__); \
  };                                                            \
  DUET_KERNEL(name, HeadParams, name##_entry::value.threads(), 1) { head<name##_entry>(params); }

// Ops: {dtype, out_dtype, pool, layer_norm, project, bias, normalize}; tiles: {warps, columns_per_block}
HEAD_KERNEL(clip_text, {Dtype::f16, Dtype::f32, PoolKind::eot, true, true, false, true}, {8, 64})
HEAD_KERNEL(clip_vision, {Dtype::bf16, Dtype::f32, PoolKind::first, true, true, false, true}, {4, 16})
HEAD_KERNEL(siglip_text, {Dtype::f16, Dtype::f32, PoolKind::last, true, true, true, true}, {2, 24})
HEAD_KERNEL(project_only, {Dtype::f16, Dtype::f16, PoolKind::first, false, true, true, false}, {3, 9})
HEAD_KERNEL(one_warp, {Dtype::bf16, Dtype::bf16, PoolKind::last, true, true, false, true}, {1, 1})
HEAD_KERNEL(normalize_only, {Dtype::f16, Dtype::f32, PoolKind::first, false, false, false, true}, {8, 64})
HEAD_KERNEL(norm_only, {Dtype::bf16, Dtype::bf16, PoolKind::eot, true, false, false, false}, {2, 64})
HEAD_KERNEL(pool_only, {Dtype::f16, Dtype::f16, PoolKind::mean, false, false, false, false}, {4, 64})
HEAD_KERNEL(mean_head, {Dtype::f16, Dtype::f32, PoolKind::mean, true, true, true, true}, {4, 32})

namespace {

using namespace duet::testing;

struct HeadKernel {
  const char* name;
  emulator::KernelEntry entry;
  HeadConfig config;
};

#define HEAD_CASE(name) \
  HeadKernel { #name, name, name##_entry::value }

const HeadKernel kKernels[] = {HEAD_CASE(clip_text),    HEAD_CASE(clip_vision), HEAD_CASE(siglip_text),
                               HEAD_CASE(project_only), HEAD_CASE(one_warp),    HEAD_CASE(normalize_only),
                               HEAD_CASE(norm_only),    HEAD_CASE(pool_only),   HEAD_CASE(mean_head)};

struct Size {
  int batch, tokens, columns, outputs;
};
const Size kSizes[] = {{1, 1, 1, 1}, {3, 4, 7, 5}, {2, 9, 77, 40}, {2, 50, 264, 70}, {1, 3, 768, 64}, {1, 2, 2048, 9}};
constexpr int kEotToken = 99;

struct HeadProblem {
  HeadConfig config;
  Size size;
  GuardedMatrix x, ids, gamma, beta, weight, bias, out, workspace, counters;

  HeadProblem(const HeadConfig& head, Size extent, Random& random)
      : config(head),
        size(extent),
        x(random.matrix(head.op.dtype, extent.batch * extent.tokens, extent.columns, round_up(extent.columns, 8) + 8)),
        ids(Dtype::i32, extent.batch, extent.tokens, extent.tokens),
        gamma(random.vector(extent.columns, 1.0)),
        beta(random.vector(extent.columns)),
        weight(random.matrix(head.op.dtype, extent.outputs, extent.columns, round_up(extent.columns, 8))),
        bias(random.vector(extent.outputs)),
        out(head.op.out_dtype, extent.batch, out_columns(), round_up(out_columns(), 8) + 24),
        workspace(Dtype::f32, extent.batch, extent.outputs, head_workspace_ld(extent.outputs)),
        counters(Dtype::i32, 1, std::max(1, head_counter_count(head, extent.batch)),
                 std::max(1, head_counter_count(head, extent.batch))) {
    place_end_of_text(random);
    counters.fill([](int, int) { return 0; });
  }

  int out_columns() const { return config.op.project ? size.outputs : size.columns; }

  // Row 0 has none; others one or more, of which the first counts.
  void place_end_of_text(Random& random) {
    ids.fill([&](int, int) { return random.integer(0, 50); });
    for (int item = 1; item < size.batch; ++item) {
      ids.set(item, random.integer(0, size.tokens - 1), kEotToken);
      ids.set(item, size.tokens - 1, kEotToken);
    }
  }

  HeadParams params() {
    return HeadParams{.x = x.data(),
                      .ids = ids.as<int>(),
                      .gamma = gamma.as<float>(),
                      .beta = beta.as<float>(),
                      .weight = weight.data(),
                      .bias = bias.as<float>(),
                      .out = out.data(),
                      .workspace = workspace.as<float>(),
                      .counters = counters.as<u32>(),
                      .batch = size.batch,
                      .tokens = size.tokens,
                      .columns = size.columns,
                      .outputs = size.outputs,
                      .ldx = x.ld(),
                      .ldw = weight.ld(),
                      .ldo = out.ld(),
                      .eot_token = kEotToken,
                      .epsilon = 1e-5f};
  }

  // Launches many times on the same counters: each must leave them at zero for the next.
  void run(const HeadKernel& kernel, Runs runs) {
    const HeadParams arguments = params();
    run_kernel<HeadParams>({.entry = kernel.entry,
                            .grid = head_grid(config, size.batch, size.outputs),
                            .threads = config.threads(),
                            .smem_bytes = config.smem_bytes(),
                            .params = arguments},
                           {&out}, runs);
    counters.expect_guards_are(std::byte{0xff});
    workspace.expect_guards_are(std::byte{0xff});
    for (int item = 0; item < counters.columns(); ++item) EXPECT_EQ(counters.get(0, item), 0.0);
  }

  int pooled_token(int item) const {
    if (config.op.pool == PoolKind::last) return size.tokens - 1;
    if (config.op.pool == PoolKind::eot) {
      for (int token = 0; token < size.tokens; ++token) {
        if (ids.get(item, token) == kEotToken) return token;
      }
    }
    return 0;
  }

  std::vector<double> pooled_row(int item) const {
    if (config.op.pool != PoolKind::mean) return row_of(x, item * size.tokens + pooled_token(item));
    std::vector<double> mean(static_cast<std::size_t>(size.columns), 0.0);
    for (int token = 0; token < size.tokens; ++token) {
      for (int c = 0; c < size.columns; ++c) {
        mean[static_cast<std::size_t>(c)] += x.get(item * size.tokens + token, c) / size.tokens;
      }
    }
    return mean;
  }

  std::vector<double> project(const std::vector<double>& row) const {
    std::vector<double> y;
    for (int output = 0; output < size.outputs; ++output) {
      double sum = config.op.bias ? bias.get(0, output) : 0.0;
      for (int c = 0; c < size.columns; ++c) sum += row[static_cast<std::size_t>(c)] * weight.get(output, c);
      y.push_back(sum);
    }
    return y;
  }

  std::vector<double> expected_row(int item) const {
    std::vector<double> row = pooled_row(item);
    if (config.op.layer_norm) layer_norm_reference(row, gamma, beta, 1e-5);
    if (config.op.project) row = project(row);
    if (config.op.normalize) l2_normalize_reference(row);
    return row;
  }

  void expect_matches_reference() const {
    const double scale = config.op.project && !config.op.normalize ? std::sqrt(size.columns) : 1.0;
    expect_rows_match(
        out, [this](int item) { return expected_row(item); }, scale);
  }
};

TEST(Head, MatchesDoublePrecision) {
  Random random(1);
  for (const HeadKernel& kernel : kKernels) {
    for (const Size size : kSizes) {
      SCOPED_TRACE(::testing::Message() << kernel.name << " batch " << size.batch << ", " << size.tokens << " x "
                                        << size.columns << " to " << size.outputs);
      HeadProblem problem(kernel.config, size, random);
      problem.run(kernel, Runs::two);
      problem.expect_matches_reference();
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Head, EveryThreadAndBlockOrderGivesTheSameBits) {
  Random random(2);
  for (const HeadKernel& kernel : kKernels) {
    SCOPED_TRACE(kernel.name);
    HeadProblem(kernel.config, {2, 6, 100, 50}, random).run(kernel, Runs::all_variants);
  }
}

TEST(Head, SizesOfWhatBlocksShare) {
  const HeadConfig& shared = clip_text_entry::value;
  EXPECT_EQ(head_grid(shared, 3, 512).x, 8);
  EXPECT_EQ(head_grid(shared, 3, 513).x, 9);
  EXPECT_EQ(head_grid(shared, 3, 512).y, 3);
  EXPECT_EQ(head_workspace_bytes(shared, 3, 513), 3 * 520 * 4);
  EXPECT_EQ(head_counter_count(shared, 3), 3);
  const HeadConfig& alone = normalize_only_entry::value;
  EXPECT_EQ(head_grid(alone, 3, 512).x, 1);
  EXPECT_EQ(head_workspace_bytes(alone, 3, 512), 0);
  EXPECT_EQ(head_counter_count(alone, 3), 0);
}

TEST(Head, NamesWhatIsInfeasible) {
  EXPECT_EQ(head_infeasible(clip_text_entry::value), nullptr);
  EXPECT_EQ(head_infeasible(clip_text_entry::value, 1152), nullptr);
  EXPECT_STREQ(head_infeasible(clip_text_entry::value, 2049), "a row does not fit shared memory");
  EXPECT_NE(head_infeasible(make_head(clip_text_entry::value.op, {8, 60})), nullptr);
  EXPECT_NE(head_infeasible(make_head(clip_text_entry::value.op, {33, 66})), nullptr);
  EXPECT_NE(head_infeasible(make_head({Dtype::f16, Dtype::f32, PoolKind::first, false, false, true, false}, {})),
            nullptr);
}

}  // namespace
}  // namespace duet
