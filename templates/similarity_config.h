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

// Why a configuration cannot be built, or nullptr.
constexpr const char* similarity_infeasible(const SimilarityConfig& config) {
  if (config.tile.warps < 1 || config.tile.warps > 32) return "warps must be 1 to 32";
  return nullptr;
}

constexpr Grid3 similarity_grid(const SimilarityConfig& config, int images, int texts) {
  return Grid3{ceil_div(images * texts, config.tile.warps), 1, 1};
}

// Padding columns of `out` are written as zero.
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
