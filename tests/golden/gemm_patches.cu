// gemm bf16: patches, residual, copy4 | block 64x64x32, warps 2x2x1, stages 3, split-K 1
#include "templates/gemm.cuh"

namespace duet {

struct gemm_bf16_patches_residual_copy4_64x64x32_w2x2x1_s3_k1_config {
  static constexpr GemmConfig value = [] {
    GemmConfig c{};
    c.op.dtype = Dtype::bf16;
    c.op.a = GemmA::patches;
    c.op.b = GemmB::n_by_k;
    c.op.constant_b = true;
    c.op.layer_norm = false;
    c.op.reads_row_sums = false;
    c.op.bias = false;
    c.op.activation = Activation::none;
    c.op.residual = true;
    c.op.writes_row_sums = false;
    c.op.patch_copy_bytes = 4;
    c.tile.block_m = 64;
    c.tile.block_n = 64;
    c.tile.block_k = 32;
    c.tile.warps_m = 2;
    c.tile.warps_n = 2;
    c.tile.warps_k = 1;
    c.tile.stages = 3;
    c.tile.split_k = 1;
    c.tile.loader = 1;
    return c;
  }();
};

DUET_KERNEL(gemm_bf16_patches_residual_copy4_64x64x32_w2x2x1_s3_k1, GemmParams,
            gemm_bf16_patches_residual_copy4_64x64x32_w2x2x1_s3_k1_config::value.threads(), 1) {
  gemm<gemm_bf16_patches_residual_copy4_64x64x32_w2x2x1_s3_k1_config>(params);
}

}  // namespace duet
