// One pass of a photograph's preprocessing, one pixel a thread: see image_config.h.
//
// Neighbouring threads take neighbouring pixels of a row: weights of the first pass lie tap by tap, so that a warp
// reads them together; in the second pass all of a row share theirs. The photograph is a few megabytes and is read
// about once from DRAM, the rest comes from L1 and L2.
#pragma once

#include "templates/common/vec.cuh"
#include "templates/image_config.h"

namespace duet {

struct PixelSums {
  int v[3];
};

DUET_DEVICE PixelSums start_sums() { return {{1 << 21, 1 << 21, 1 << 21}}; }

DUET_DEVICE int load_int(const int* src) { return static_cast<int>(ld_global_u32(src)); }

// `rgb` holds red in bits 0-7, green in 8-15, blue in 16-23.
DUET_DEVICE void add_pixel(PixelSums& sums, u32 rgb, int weight) {
  DUET_UNROLL
  for (int c = 0; c < 3; ++c) sums.v[c] += static_cast<int>(rgb >> (8 * c) & 0xffu) * weight;
}

DUET_DEVICE u32 to_level(int sum) {
  const int level = sum >> 22;
  return static_cast<u32>(level < 0 ? 0 : level > 255 ? 255 : level);
}

// Three bytes at any alignment, from the two words that hold them.
DUET_DEVICE u32 load_rgb(const void* pixels, u32 pixel) {
  const u32 byte = pixel * 3;
  const u32* words = static_cast<const u32*>(pixels) + byte / 4;
  const u64 both = static_cast<u64>(ld_global_u32(words + 1)) << 32 | ld_global_u32(words);
  return static_cast<u32>(both >> (byte % 4 * 8));
}

// (x, y) is a pixel of the strip.
DUET_DEVICE void resize_row_pixel(const ImageParams& params, int x, int y) {
  const u32 first = static_cast<u32>(y) * static_cast<u32>(params.width) + ld_global_u32(params.begins + x);
  const int count = load_int(params.counts + x);
  PixelSums sums = start_sums();
  DUET_NO_UNROLL
  for (int k = 0; k < count; ++k) {
    add_pixel(sums, load_rgb(params.pixels, first + static_cast<u32>(k)),
              load_int(params.weights + static_cast<i64>(k) * params.taps + x));
  }
  st_global_u32(static_cast<u32*>(params.out) + static_cast<i64>(y) * params.taps + x,
                to_level(sums.v[0]) | to_level(sums.v[1]) << 8 | to_level(sums.v[2]) << 16);
}

// (x, y) is a pixel of the strip's columns, resized.
DUET_DEVICE PixelSums resize_column_pixel(const ImageParams& params, int x, int y) {
  const u32* column = static_cast<const u32*>(params.pixels) + x;
  const i64 first = load_int(params.begins + y);
  const int count = load_int(params.counts + y);
  PixelSums sums = start_sums();
  DUET_NO_UNROLL
  for (int k = 0; k < count; ++k) {
    add_pixel(sums, ld_global_u32(column + (first + k) * params.width),
              load_int(params.weights + static_cast<i64>(k) * params.taps + y));
  }
  return sums;
}

// (x, y) is a pixel of the result.
template <Dtype kDtype>
DUET_DEVICE void write_pixel(const ImageParams& params, int x, int y) {
  const int column = x - params.pad_x, row = y - params.pad_y;
  const bool inside = column >= 0 && column < params.width && row >= 0 && row < params.taps;
  const PixelSums sums = inside ? resize_column_pixel(params, column, row) : PixelSums{{0, 0, 0}};
  DUET_UNROLL
  for (int c = 0; c < 3; ++c) {
    const float value = load_f32(params.levels + 256 * c + static_cast<int>(to_level(sums.v[c])));
    store1<kDtype>(params.out, c * params.out_h + y, params.out_w, x, value);
  }
}

template <class Config>
DUET_DEVICE void image(const ImageParams& params) {
  constexpr ImageConfig kConfig = Config::value;
  static_assert(image_infeasible(kConfig) == nullptr, "infeasible ImageConfig");
  wait_for_predecessor();
  release_successor();
  constexpr bool kRows = kConfig.op.pass == ImagePass::rows;
  const int width = kRows ? params.taps : params.out_w;
  const int height = kRows ? params.height : params.out_h;
  const int pixel = block_index_x() * kConfig.tile.threads + thread_index();
  if (pixel >= width * height) return;
  const int x = pixel % width, y = pixel / width;
  if constexpr (kRows) {
    resize_row_pixel(params, x, y);
  } else {
    write_pixel<kConfig.op.dtype>(params, x, y);
  }
}

}  // namespace duet
