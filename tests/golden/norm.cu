// norm f16 to f32: l2_normalize | warps a row 1, rows a block 4, cached vectors 4
#include "templates/norm.cuh"

namespace duet {

struct norm_f16_f32_l2_normalize_w1_r4_v4_config {
  static constexpr NormConfig value = [] {
    NormConfig c{};
    c.op.dtype = Dtype::f16;
    c.op.out_dtype = Dtype::f32;
    c.op.function = RowFunction::l2_normalize;
    c.op.residual = false;
    c.tile.warps_per_row = 1;
    c.tile.rows_per_block = 4;
    c.tile.cached_vectors = 4;
    return c;
  }();
};

DUET_KERNEL(norm_f16_f32_l2_normalize_w1_r4_v4, NormParams,
            norm_f16_f32_l2_normalize_w1_r4_v4_config::value.threads(), 1) {
  norm<norm_f16_f32_l2_normalize_w1_r4_v4_config>(params);
}

}  // namespace duet
