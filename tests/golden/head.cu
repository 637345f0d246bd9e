// head f16 to f32: eot, layer_norm, project, normalize | warps 8, columns a block 64
#include "templates/head.cuh"

namespace duet {

struct head_f16_f32_eot_ln_project_normalize_w8_c64_config {
  static constexpr HeadConfig value = [] {
    HeadConfig c{};
    c.op.dtype = Dtype::f16;
    c.op.out_dtype = Dtype::f32;
    c.op.pool = PoolKind::eot;
    c.op.layer_norm = true;
    c.op.project = true;
    c.op.bias = false;
    c.op.normalize = true;
    c.tile.warps = 8;
    c.tile.columns_per_block = 64;
    return c;
  }();
};

DUET_KERNEL(head_f16_f32_eot_ln_project_normalize_w8_c64, HeadParams,
            head_f16_f32_eot_ln_project_normalize_w8_c64_config::value.threads(), 1) {
  head<head_f16_f32_eot_ln_project_normalize_w8_c64_config>(params);
}

}  // namespace duet
