// The similarity of every image with every text: logits[i, j] = scale * dot(image[i], text[j]) + bias, in fp32.
#pragma once

#include "templates/device/types.h"

namespace duet {

struct SimilarityOp {
  bool bias = false;
};

struct SimilarityTile {
  int warps = 4;  // one warp computes one logit at a time
};

struct SimilarityConfig {
  SimilarityOp op;
  SimilarityTile tile;

  constexpr int threads() const { return tile.warps * 32; }
  constexpr int smem_bytes() const { return 0; }
};

// Grid: x = blocks over images * texts.
struct SimilarityParams {
  const float* image;  // (images, columns)
  const float* text;   // (texts, columns)
  const float* scale;  // one value
  const float* bias;   // one value
  float* out;          // (images, texts)
  int images, texts, columns;
  int ld_image, ld_text, ld_out;
};

}  // namespace duet
