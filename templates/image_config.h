// The image family: a photograph's preprocessing, as two passes over 8-bit pixels.
//
//   rows:     strip[y, x]  = clamp( (half + sum_k weight[x][k] pixels[y, begin[x] + k]) >> 22 )
//   columns:  out[c, y, x] = level[c][ clamp( (half + sum_k weight[y][k] strip[begin[y] + k, x]) >> 22 ) ]
//
// Weights are 22-bit fixed point and half is 2^21: the integer arithmetic of Pillow's `Image.resize`, so that results
// are those of frontend/resample to the bit. `level` holds what rescaling and normalising make of each of 256 values.
// The second pass writes (3, out_h, out_w) without padding, the layout that the patch product reads; where the result
// is larger than the resized image, the rest is level[c][0], black.
#pragma once

#include "templates/device/types.h"

namespace duet {

enum class ImagePass : int { rows = 0, columns = 1 };

struct ImageOp {
  ImagePass pass = ImagePass::rows;
  Dtype dtype = Dtype::f16;  // of the result; the first pass writes pixels, whatever it says
};

struct ImageTile {
  int threads = 128;  // one pixel a thread
};

struct ImageConfig {
  ImageOp op;
  ImageTile tile;

  constexpr int threads() const { return tile.threads; }
  constexpr int smem_bytes() const { return 0; }
};

// Why a configuration cannot be built, or nullptr.
constexpr const char* image_infeasible(const ImageConfig& config) {
  const int threads = config.tile.threads;
  if (threads < 32 || threads > 1024 || threads % 32 != 0) return "threads must be whole warps, to 1024";
  if (config.op.dtype == Dtype::i32) return "elements must be f32, f16 or bf16";
  return nullptr;
}

constexpr Grid3 image_grid(const ImageConfig& config, int pixels) {
  return Grid3{ceil_div(pixels, config.tile.threads), 1, 1};
}

// The rows of a photograph are read in words of 4 bytes, the last of which may lie behind it.
constexpr i64 image_bytes(int width, int height) { return (static_cast<i64>(width) * height * 3 + 3) / 4 * 4 + 4; }

// Fewer than 2^26 pixels (64 Mi) in `pixels`, strip and result. Weight k of tap i is weights[k * taps + i].
struct ImageParams {
  const void* pixels;   // rows: u8 (height, width, 3); columns: the strip, (height, width) words of red, green, blue
  const int* begins;    // (taps) first pixel that each output reads along the filtered axis
  const int* counts;    // (taps) how many
  const int* weights;   // (most counts, taps)
  const float* levels;  // columns: (3, 256)
  void* out;            // rows: the strip, (height, taps); columns: (3, out_h, out_w)
  int width, height;    // of `pixels`
  int taps;
  int out_w, out_h;  // columns: of `out`, in which the resized image begins at (pad_x, pad_y)
  int pad_x, pad_y;
};

}  // namespace duet
