// How tiles of A and B reach shared memory.
#pragma once

#include "templates/common/gemm_block.cuh"

namespace duet {

// A is a matrix in memory.
template <class Shape>
class MatrixA {
 public:
  DUET_DEVICE MatrixA(const GemmParams& params, const GemmPlace& place)
      : view_{static_cast<const u16*>(params.a) +
                  batch_offset(params, place.batch, params.a_stride_outer, params.a_stride_inner),
              params.lda, params.m, params.k},
        row0_(place.row0) {}

  DUET_DEVICE void load(SmemAddr tile, int k0) const {
    load_tile<Shape::kBlockM, Shape::kKChunks, Shape::kThreads>(tile, view_, row0_, k0);
  }

 private:
  MatrixView view_;
  int row0_;
};

// A is the patches of images: row (image, patch y, patch x), column (channel, y, x) with x padded to patch_ld.
// A chunk is 8 neighbouring pixels, copied in pieces as large as their alignment allows; x beyond the patch is zero.
template <class Shape>
class PatchesA {
  using Share = TileShare<Shape::kBlockM, Shape::kKChunks, Shape::kThreads>;
  static_assert(Share::kOneColumn, "a thread of the patch loader stays in one column of chunks");
  static constexpr int kPieceBytes = Shape::kOp.patch_copy_bytes;
  static constexpr int kPieceElements = kPieceBytes / 2;

 public:
  DUET_DEVICE PatchesA(const GemmParams& params, const GemmPlace& place) : params_(params) {
    const int patches_x = params.image_w / params.patch;
    const int patches = patches_x * (params.image_h / params.patch);
    DUET_UNROLL
    for (int copy = 0; copy < Share::kCopies; ++copy) {
      const int row = place.row0 + Share::row(thread_index(), copy);
      const int image = row / patches;
      const int y = row % patches / patches_x * params.patch;
      const int x = row % patches_x * params.patch;  // patches is a multiple of patches_x
      const i64 image_rows = static_cast<i64>(image) * params.channels * params.image_h + y;
      origin_[copy] = row < params.m ? image_rows * params.image_w + x : -1;
    }
  }

  DUET_DEVICE void load(SmemAddr tile, int k0) const {
    const int chunk = Share::chunk(thread_index(), 0);
    const int group = k0 / kChunkElements + chunk;  // (channel, y, x / 8)
    const int groups_x = ceil_div(params_.patch, kChunkElements);
    const int x = group % groups_x * kChunkElements;
    const int y = group / groups_x % params_.patch;
    const int channel = group / groups_x / params_.patch;
    const i64 offset = (static_cast<i64>(channel) * params_.image_h + y) * params_.image_w + x;
    DUET_UNROLL
    for (int copy = 0; copy < Share::kCopies; ++copy) {
      if (Share::has(thread_index(), copy)) {
        const SmemAddr dst = tile + tile_offset<Shape::kKChunks>(Share::row(thread_index(), copy), chunk);
        load_chunk(dst, origin_[copy] + offset, x, origin_[copy] >= 0 && channel < params_.channels);
      }
    }
  }

 private:
  DUET_DEVICE void load_chunk(SmemAddr dst, i64 element, int x, bool inside) const {
    const u16* image = static_cast<const u16*>(params_.a);
    DUET_UNROLL
    for (int piece = 0; piece < kChunkElements; piece += kPieceElements) {
      const bool valid = inside && x + piece < params_.patch;
      cp_async<kPieceBytes>(dst + static_cast<u32>(piece * 2), image + (valid ? element + piece : 0), valid);
    }
  }

  const GemmParams& params_;
  i64 origin_[Share::kCopies];  // a patch's upper left pixel in channel 0; negative beyond the last row
};

// B, (n, k) or (k, n) in memory.
template <class Shape>
class MatrixB {
  static constexpr bool kTransposed = Shape::kOp.b == GemmB::k_by_n;

 public:
  DUET_DEVICE MatrixB(const GemmParams& params, const GemmPlace& place)
      : view_{static_cast<const u16*>(params.b) +
                  batch_offset(params, place.batch, params.b_stride_outer, params.b_stride_inner),
              params.ldb, kTransposed ? params.k : params.n, kTransposed ? params.n : params.k},
        column0_(place.column0) {}

  DUET_DEVICE void load(SmemAddr tile, int k0) const {
    if constexpr (kTransposed) {
      load_tile<Shape::kBlockK, Shape::kNChunks, Shape::kThreads>(tile, view_, k0, column0_);
    } else {
      load_tile<Shape::kBlockN, Shape::kKChunks, Shape::kThreads>(tile, view_, column0_, k0);
    }
  }

  static DUET_DEVICE void load_fragments(u32 (&b)[Shape::kN][2], SmemAddr tile, int warp_column, int k_step, int lane) {
    if constexpr (kTransposed) {
      load_b_transposed<Shape::kN, Shape::kNChunks>(b, tile, warp_column, k_step, lane);
    } else {
      load_b<Shape::kN, Shape::kKChunks>(b, tile, warp_column, k_step, lane);
    }
  }

 private:
  MatrixView view_;
  int column0_;
};

template <class Shape, GemmA kSource>
struct OperandA {
  using Type = MatrixA<Shape>;
};
template <class Shape>
struct OperandA<Shape, GemmA::patches> {
  using Type = PatchesA<Shape>;
};

}  // namespace duet
