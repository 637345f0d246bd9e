// image bf16: columns | threads 128
#include "templates/image.cuh"

namespace duet {

struct image_bf16_columns_t128_config {
  static constexpr ImageConfig value = [] {
    ImageConfig c{};
    c.op.dtype = Dtype::bf16;
    c.op.pass = ImagePass::columns;
    c.tile.threads = 128;
    return c;
  }();
};

DUET_KERNEL(image_bf16_columns_t128, ImageParams,
            image_bf16_columns_t128_config::value.threads(), 1) {
  image<image_bf16_columns_t128_config>(params);
}

}  // namespace duet
