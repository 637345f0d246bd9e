// embedding f16: tokens, position | warps a row 1, rows a block 4, cached vectors 4
#include "templates/embedding.cuh"

namespace duet {

struct embedding_f16_tokens_position_w1_r4_v4_config {
  static constexpr EmbeddingConfig value = [] {
    EmbeddingConfig c{};
    c.op.dtype = Dtype::f16;
    c.op.source = EmbeddingSource::tokens;
    c.op.class_token = false;
    c.op.position = true;
    c.op.layer_norm = false;
    c.op.writes_row_sums = false;
    c.tile.warps_per_row = 1;
    c.tile.rows_per_block = 4;
    c.tile.cached_vectors = 4;
    return c;
  }();
};

DUET_KERNEL(embedding_f16_tokens_position_w1_r4_v4, EmbeddingParams,
            embedding_f16_tokens_position_w1_r4_v4_config::value.threads(), 1) {
  embedding<embedding_f16_tokens_position_w1_r4_v4_config>(params);
}

}  // namespace duet
