// logits[i, j] = scale * dot(image[i], text[j]) + bias in fp32: see similarity_config.h.
//
// One warp a logit: at most a few hundred logits of a few kilobytes each, all in L2, so that the launch dominates and
// nothing is gained by tiling.
#pragma once

#include "templates/common/grid_block.cuh"
#include "templates/common/reduce.cuh"
#include "templates/common/vec.cuh"
#include "templates/similarity_config.h"

namespace duet {

// Lane l takes vectors l, l + 32, ...; the same value in every lane, summed in a fixed order.
DUET_DEVICE float warp_dot(const SimilarityParams& params, int image, int text, int lane) {
  float acc = 0.0f;
  DUET_NO_UNROLL
  for (int column = lane * kVecElements; column < params.columns; column += 32 * kVecElements) {
    const int valid = params.columns - column;
    const Float8 a = load8<Dtype::f32>(params.image, image, params.ld_image, column);
    const Float8 b = load8<Dtype::f32>(params.text, text, params.ld_text, column);
    acc = dot8(keep_first(a, valid, 0.0f), keep_first(b, valid, 0.0f), acc);
  }
  return warp_reduce(acc, Sum{});
}

template <class Config>
DUET_DEVICE void similarity(const SimilarityParams& params, const GridBlock& block = launched_block()) {
  constexpr SimilarityConfig kConfig = Config::value;
  static_assert(similarity_infeasible(kConfig) == nullptr, "infeasible SimilarityConfig");
  wait_for_predecessor();
  release_successor();
  const int lane = thread_index() % 32;
  const int logit = block.x * kConfig.tile.warps + thread_index() / 32;
  if (logit >= params.images * params.texts) return;
  const int image = logit / params.texts;
  const int text = logit % params.texts;

  float value = load_f32(params.scale) * warp_dot(params, image, text, lane);
  if constexpr (kConfig.op.bias) value += load_f32(params.bias);
  if (lane == 0) store1<Dtype::f32>(params.out, image, params.ld_out, text, value);
  // The warp of the last logit of a row also writes the row's padding.
  const int padding = text + 1 == params.texts ? params.ld_out - params.texts : 0;
  for (int i = lane; i < padding; i += 32) {
    store1<Dtype::f32>(params.out, image, params.ld_out, params.texts + i, 0.0f);
  }
}

}  // namespace duet
