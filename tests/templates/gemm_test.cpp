// The GEMM kernels, run by the emulator over ragged sizes and compared with an fp64 reference.
#include "tests/templates/gemm_problem.h"

namespace duet {

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
GEMM_KERNEL(gemm_split8, TILE(16, 16, 16, 1, 1, 8); c.tile.split_k = 8; c.op.bias = true)
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
GEMM_KERNEL(gemm_reads, READS_ROW_SUMS)
GEMM_KERNEL(gemm_reads_shared, READS_ROW_SUMS; TILE(16, 32, 64, 1, 2, 3); c.tile.warps_k = 2)
GEMM_KERNEL(gemm_reads_tall, READS_ROW_SUMS; TILE(64, 8, 32, 1, 1, 2))
GEMM_KERNEL(gemm_bf16_reads_split, READS_ROW_SUMS; c.op.dtype = Dtype::bf16; TILE(32, 32, 32, 2, 1, 3);
            c.tile.split_k = 3)
// Row sums left for the kernel after: a warp has whole rows of the tile, or shares them with warps beside it and sets.
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
GEMM_KERNEL(gemm_patches_split, c.op.a = GemmA::patches; c.op.patch_copy_bytes = 4; TILE(16, 32, 16, 1, 2, 3);
            c.tile.split_k = 3)
GEMM_KERNEL(gemm_patches_bf16, c.op.dtype = Dtype::bf16; c.op.a = GemmA::patches; c.op.patch_copy_bytes = 4;
            c.op.bias = true; TILE(32, 32, 32, 2, 1, 3))

namespace {

using namespace testing;  // NOLINT

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

TEST(Gemm, LeavesRowSums) {
  for (const Kernel& kernel : {KERNEL(gemm_writes), KERNEL(gemm_writes_shared), KERNEL(gemm_bf16_writes_sliced),
                               KERNEL(gemm_writes_split), KERNEL(gemm_reads_and_writes)}) {
    for (const Sizes& sizes : kRagged) check_row_sums(kernel, sizes);
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
  check(KERNEL(gemm_split8), {20, 24, 72});  // more splits than tiles along k
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

TEST(Gemm, SameBitsInEveryOrder) {
  for (const Kernel& kernel :
       {KERNEL(gemm_64x64x32), KERNEL(gemm_norm_turns), KERNEL(gemm_split4_all), KERNEL(gemm_split8),
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
  EXPECT_EQ(gemm_workspace_bytes(config, 65, 129, 2), 12 * 2 * (64 * 64 * 4 + 64 * 8));
  config.op.reads_row_sums = true;
  EXPECT_EQ(gemm_workspace_bytes(config, 65, 129, 2), 12 * 2 * 64 * 64 * 4);
}

}  // namespace
}  // namespace duet
