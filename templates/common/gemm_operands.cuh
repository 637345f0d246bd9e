// How tiles of A and B reach shared memory.
#pragma once

#include "templates/common/gemm_block.cuh"

namespace duet {

// A is a matrix in memory.
template <class Shape>
class MatrixA {
 public:
  DUET_DEVICE MatrixA(const GemmParams& params, const GemmPlace& place)
      : tiles_({static_cast<const u16*>(params.a) +
                    batch_offset(params, place.batch, params.a_stride_outer, params.a_stride_inner),
                params.lda, params.m, params.k},
               place.row0) {}

  DUET_DEVICE void load(SmemAddr tile, int k0) const { tiles_.load(tile, k0); }

 private:
  RowTiles<Shape::kBlockM, Shape::kKChunks, Shape::kThreads> tiles_;
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

template <class Shape>
DUET_DEVICE const u16* matrix_b(const GemmParams& params, const GemmPlace& place) {
  return static_cast<const u16*>(params.b) +
         batch_offset(params, place.batch, params.b_stride_outer, params.b_stride_inner);
}

// B is (n, k) in memory.
template <class Shape>
class MatrixB {
 public:
  DUET_DEVICE MatrixB(const GemmParams& params, const GemmPlace& place)
      : tiles_({matrix_b<Shape>(params, place), params.ldb, params.n, params.k}, place.column0) {}

  DUET_DEVICE void load(SmemAddr tile, int k0) const { tiles_.load(tile, k0); }

  static DUET_DEVICE void load_fragments(u32 (&b)[Shape::kN][2], SmemAddr tile, int warp_column, int k_step, int lane) {
    load_b<Shape::kN, Shape::kKChunks>(b, tile, warp_column, k_step, lane);
  }

 private:
  RowTiles<Shape::kBlockN, Shape::kKChunks, Shape::kThreads> tiles_;
};

// B is (k, n) in memory. Its rows beyond k must be zero, and its tiles follow each other down the columns.
template <class Shape>
class TransposedB {
 public:
  DUET_DEVICE TransposedB(const GemmParams& params, const GemmPlace& place)
      : view_{matrix_b<Shape>(params, place), params.ldb, params.k, params.n}, column0_(place.column0) {}

  DUET_DEVICE void load(SmemAddr tile, int k0) const {
    load_tile<Shape::kBlockK, Shape::kNChunks, Shape::kThreads>(tile, view_, k0, column0_);
  }

  static DUET_DEVICE void load_fragments(u32 (&b)[Shape::kN][2], SmemAddr tile, int warp_column, int k_step, int lane) {
    load_b_transposed<Shape::kN, Shape::kNChunks>(b, tile, warp_column, k_step, lane);
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

template <class Shape, GemmB kLayout>
struct OperandB {
  using Type = MatrixB<Shape>;
};
template <class Shape>
struct OperandB<Shape, GemmB::k_by_n> {
  using Type = TransposedB<Shape>;
};

}  // namespace duet
