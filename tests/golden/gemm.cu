// gemm f16: layer_norm, bias, quick_gelu | block 64x64x32, warps 2x2x1, stages 3, split-K 1
#include "templates/gemm.cuh"

namespace duet {

struct gemm_f16_ln_bias_quick_gelu_64x64x32_w2x2x1_s3_k1_config {
  static constexpr GemmConfig value = [] {
    GemmConfig c{};
    c.op.dtype = Dtype::f16;
    c.op.a = GemmA::rows;
    c.op.b = GemmB::n_by_k;
    c.op.constant_b = true;
    c.op.layer_norm = true;
    c.op.reads_row_sums = false;
    c.op.bias = true;
    c.op.activation = Activation::quick_gelu;
    c.op.residual = false;
    c.op.writes_row_sums = false;
    c.op.patch_copy_bytes = 16;
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

DUET_KERNEL(gemm_f16_ln_bias_quick_gelu_64x64x32_w2x2x1_s3_k1, GemmParams,
            gemm_f16_ln_bias_quick_gelu_64x64x32_w2x2x1_s3_k1_config::value.threads(), 1) {
  gemm<gemm_f16_ln_bias_quick_gelu_64x64x32_w2x2x1_s3_k1_config>(params);
}

}  // namespace duet
