// The GEMM kernels whose tiles the tensor memory accelerator brings, multiplied by warps or warpgroups, run by the
// emulator over ragged sizes and compared with an fp64 reference.
#include "tests/templates/gemm_problem.h"

namespace duet {

#define TMA(bm, bn, wm, wn, wk, st) \
  c.tile = GemmTile { bm, bn, 64, wm, wn, wk, st, 1, kLoaderTma }
#define WGMMA(bm, bn, wm, wn, wk, st) \
  c.tile = GemmTile { bm, bn, 64, wm, wn, wk, st, 1, kLoaderWgmma }
#define TRANSPOSED(bm, bn, wm, wn, wk, st) \
  c.tile = GemmTile { bm, bn, 64, wm, wn, wk, st, 1, kLoaderWgmmaTransposed }

GEMM_KERNEL(tma_plain, TMA(64, 64, 2, 2, 1, 3))
GEMM_KERNEL(tma_norm, c.op.layer_norm = c.op.bias = true; TMA(32, 48, 2, 1, 1, 2))
GEMM_KERNEL(tma_bf16_sliced, c.op.dtype = Dtype::bf16; c.op.bias = c.op.residual = true; TMA(16, 32, 1, 1, 4, 3))
GEMM_KERNEL(tma_all, READS_ROW_SUMS; WRITES_ROW_SUMS; c.op.activation = Activation::quick_gelu; TMA(32, 40, 2, 1, 2, 4);
            c.tile.split_k = 3)
GEMM_KERNEL(wgmma_plain, WGMMA(64, 32, 4, 1, 1, 3))
GEMM_KERNEL(wgmma_norm, c.op.layer_norm = c.op.bias = true; c.op.activation = Activation::gelu_tanh;
            WGMMA(64, 48, 4, 1, 1, 2))
GEMM_KERNEL(wgmma_two_rows, c.op.dtype = Dtype::bf16; c.op.bias = c.op.residual = true; WGMMA(128, 32, 8, 1, 1, 3))
GEMM_KERNEL(wgmma_two_columns, WRITES_ROW_SUMS; WGMMA(64, 64, 4, 2, 1, 4))
GEMM_KERNEL(wgmma_all, READS_ROW_SUMS; WRITES_ROW_SUMS; c.op.activation = Activation::quick_gelu;
            WGMMA(64, 32, 4, 1, 2, 3); c.tile.split_k = 2)
// More groups a warp than a box holds, the last box part full; and sets of warps that do not have as many groups each.
GEMM_KERNEL(wgmma_wide, READS_ROW_SUMS; WRITES_ROW_SUMS; WGMMA(64, 144, 4, 1, 1, 2))
GEMM_KERNEL(wgmma_uneven, WRITES_ROW_SUMS; WGMMA(64, 80, 4, 1, 2, 2))
GEMM_KERNEL(transposed_plain, TRANSPOSED(48, 64, 1, 4, 1, 3))
GEMM_KERNEL(transposed_reads, READS_ROW_SUMS; c.op.activation = Activation::quick_gelu; TRANSPOSED(80, 64, 1, 4, 1, 2))
GEMM_KERNEL(transposed_two_rows, c.op.dtype = Dtype::bf16; WRITES_ROW_SUMS; TRANSPOSED(64, 64, 2, 4, 1, 3))
GEMM_KERNEL(transposed_two_columns, WRITES_ROW_SUMS; TRANSPOSED(16, 128, 1, 8, 1, 4))
GEMM_KERNEL(transposed_all, READS_ROW_SUMS; WRITES_ROW_SUMS; c.op.activation = Activation::gelu;
            TRANSPOSED(32, 64, 1, 4, 2, 3); c.tile.split_k = 3)
// C is turned beside the parts of split-K, and beside what sets of warps exchange.
GEMM_KERNEL(transposed_split, READS_ROW_SUMS; TRANSPOSED(64, 64, 1, 4, 1, 2); c.tile.split_k = 2)
GEMM_KERNEL(transposed_sliced, READS_ROW_SUMS; TRANSPOSED(48, 64, 1, 4, 2, 2))
// More rows than threads, each of which reads the sums of two; and no warp that does nothing but ask for tiles.
GEMM_KERNEL(transposed_tall, READS_ROW_SUMS; TRANSPOSED(208, 64, 1, 4, 1, 2))
GEMM_KERNEL(transposed_large, READS_ROW_SUMS; WRITES_ROW_SUMS; TRANSPOSED(208, 192, 1, 12, 1, 2))

namespace {

using namespace testing;  // NOLINT

const Kernel kKernels[] = {KERNEL(tma_plain),         KERNEL(tma_norm),
                           KERNEL(tma_bf16_sliced),   KERNEL(tma_all),
                           KERNEL(wgmma_plain),       KERNEL(wgmma_norm),
                           KERNEL(wgmma_two_rows),    KERNEL(wgmma_two_columns),
                           KERNEL(wgmma_all),         KERNEL(transposed_plain),
                           KERNEL(transposed_reads),  KERNEL(transposed_two_rows),
                           KERNEL(transposed_tall),   KERNEL(transposed_two_columns),
                           KERNEL(transposed_all),    KERNEL(transposed_split),
                           KERNEL(transposed_sliced), KERNEL(wgmma_wide),
                           KERNEL(wgmma_uneven)};

TEST(GemmAsync, EveryLoader) {
  for (const Kernel& kernel : kKernels)
    for (const Sizes& sizes : kRagged) check(kernel, sizes);
}

TEST(GemmAsync, LeavesRowSums) {
  for (const Kernel& kernel : kKernels)
    if (kernel.config.op.writes_row_sums)
      for (const Sizes& sizes : kRagged) check_row_sums(kernel, sizes);
}

TEST(GemmAsync, LargeTilesWithoutALoadingWarp) {
  const Kernel kernel = KERNEL(transposed_large);
  ASSERT_FALSE(kernel.config.loading_warp());
  check(kernel, {197, 200, 264});
  check_row_sums(kernel, {197, 200, 264});
}

TEST(GemmAsync, SameBitsInEveryOrder) {
  for (const Kernel& kernel : kKernels) {
    SCOPED_TRACE(kernel.name);
    const Problem problem(kernel.config, {50, 77, 136});
    expect_same_bits(kernel, problem.params(), problem);
  }
}

}  // namespace
}  // namespace duet
