// attention f16: d64, causal | warps 4 x 1, block_kv 64, stages 2
#include "templates/attention.cuh"

namespace duet {

struct attention_f16_d64_causal_w4x1_kv64_s2_config {
  static constexpr AttentionConfig value = [] {
    AttentionConfig c{};
    c.op.dtype = Dtype::f16;
    c.op.head_dim = 64;
    c.op.mask = AttentionMask::causal;
    c.tile.warps = 4;
    c.tile.block_kv = 64;
    c.tile.stages = 2;
    c.tile.warps_kv = 1;
    c.tile.min_blocks = 1;
    return c;
  }();
};

DUET_KERNEL(attention_f16_d64_causal_w4x1_kv64_s2, AttentionParams,
            attention_f16_d64_causal_w4x1_kv64_s2_config::value.threads(), 1) {
  attention<attention_f16_d64_causal_w4x1_kv64_s2_config>(params);
}

}  // namespace duet
