// similarity: plain | warps 4
#include "templates/similarity.cuh"

namespace duet {

struct similarity_w4_config {
  static constexpr SimilarityConfig value = [] {
    SimilarityConfig c{};
    c.op.bias = false;
    c.tile.warps = 4;
    return c;
  }();
};

DUET_KERNEL(similarity_w4, SimilarityParams,
            similarity_w4_config::value.threads(), 1) {
  similarity<similarity_w4_config>(params);
}

}  // namespace duet
