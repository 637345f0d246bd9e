// pointwise f16: add_row, quick_gelu | threads 256, vectors a thread 1
#include "templates/pointwise.cuh"

namespace duet {

struct pointwise_f16_add_row_quick_gelu_t256_v1_config {
  static constexpr PointwiseConfig value = [] {
    PointwiseConfig c{};
    c.op.dtype = Dtype::f16;
    c.op.steps[0] = PointwiseStep::add_row;
    c.op.steps[1] = PointwiseStep::quick_gelu;
    c.op.steps[2] = PointwiseStep::end;
    c.op.steps[3] = PointwiseStep::end;
    c.tile.threads = 256;
    c.tile.vectors_per_thread = 1;
    return c;
  }();
};

DUET_KERNEL(pointwise_f16_add_row_quick_gelu_t256_v1, PointwiseParams,
            pointwise_f16_add_row_quick_gelu_t256_v1_config::value.threads(), 1) {
  pointwise<pointwise_f16_add_row_quick_gelu_t256_v1_config>(params);
}

}  // namespace duet
