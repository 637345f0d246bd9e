// What a block of the GEMM knows before it starts: its shape, fixed at compile time, and its place in the problem.
#pragma once

#include "templates/common/grid_block.cuh"
#include "templates/common/mma.cuh"
#include "templates/gemm_config.h"

namespace duet {

template <class Config>
struct GemmShape {
  static constexpr GemmConfig kConfig = Config::value;
  static constexpr GemmOp kOp = kConfig.op;
  static constexpr GemmTile kTile = kConfig.tile;
#define DUET_RULE(condition, reason) static_assert(condition, reason);
  DUET_GEMM_RULES(kConfig, DUET_RULE)
#undef DUET_RULE

  static constexpr Dtype kDtype = kOp.dtype;
  static constexpr int kBlockM = kTile.block_m;
  static constexpr int kBlockN = kTile.block_n;
  static constexpr int kBlockK = kTile.block_k;
  static constexpr int kStages = kTile.stages;
  static constexpr int kSplits = kTile.split_k;
  static constexpr int kWarpsM = kTile.warps_m;
  static constexpr int kWarpsN = kTile.warps_n;
  static constexpr int kWarpsK = kTile.warps_k;
  static constexpr int kTileThreads = kConfig.tile_threads();
  static constexpr int kThreads = kConfig.math_threads();  // that multiply
  static constexpr bool kTma = kConfig.tma();
  static constexpr bool kWgmma = kConfig.wgmma();
  static constexpr bool kTransposed = kConfig.transposed();
  static constexpr bool kSumsRows = kConfig.sums_rows();
  static constexpr int kM = kConfig.warp_m() / kMmaM;        // a warp's products along m
  static constexpr int kN = kConfig.warp_n() / kMmaN;        // and along n
  static constexpr int kKSteps = kBlockK / kMmaK / kWarpsK;  // and along k, per stage
  static constexpr int kKChunks = kBlockK / kChunkElements;
  static constexpr int kNChunks = kBlockN / kChunkElements;
};

// The operands of one k step of a warp.
template <class Shape>
struct GemmFragments {
  u32 a[Shape::kM][4];  // (warp_m, 16)
  u32 b[Shape::kN][2];  // (warp_n, 16)
};

// Barriers of the block, by their ids beside that of all threads.
constexpr int kMathBarrier = 1;        // of the threads that multiply
constexpr int kWarpgroupBarriers = 2;  // and following ones: of four warps each

// A barrier among the threads that multiply: the warp that asks for tiles has gone its own way.
template <class Shape>
DUET_DEVICE void sync_math() {
  if constexpr (Shape::kTma) {
    named_barrier(kMathBarrier, Shape::kThreads);
  } else {
    sync_block<Shape::kThreads>();
  }
}

struct GemmPlace {
  int lane;
  // Of the warp, in the arrangement (warps_k, warps_m, warps_n), or (warps_k, warps_n, warps_m) for warpgroup products
  // that are not transposed: four neighbours hold rows that follow each other, here columns.
  int warp_m, warp_n, warp_k;
  int warp_row, warp_column;  // the warp's part of the tile
  int row0, column0;          // the tile's part of C
  int batch, split;           // the product, and the share of its k range
  int tile;                   // of C, over all products, in the order blocks start in
  int k_tile, k_tiles;  // the share: first tile along k, and how many (none, when there are more splits than tiles)
};

template <class Shape>
DUET_DEVICE GemmPlace gemm_place(const GemmParams& params, const GridBlock& block) {
  const int warp = thread_index() / 32;
  GemmPlace place;
  place.lane = thread_index() % 32;
  const int warp_in_set = warp % (Shape::kTileThreads / 32);
  constexpr bool kRowsFirst = Shape::kWgmma && !Shape::kTransposed;
  place.warp_m = kRowsFirst ? warp_in_set % Shape::kWarpsM : warp_in_set / Shape::kWarpsN;
  place.warp_n = kRowsFirst ? warp_in_set / Shape::kWarpsM : warp_in_set % Shape::kWarpsN;
  place.warp_k = warp / (Shape::kTileThreads / 32);
  place.warp_row = place.warp_m * Shape::kM * kMmaM;
  place.warp_column = place.warp_n * Shape::kN * kMmaN;
  place.row0 = block.x * Shape::kBlockM;
  place.column0 = block.y * Shape::kBlockN;
  place.batch = block.z / Shape::kSplits;
  place.split = block.z % Shape::kSplits;
  place.tile = (place.batch * block.grid_y + block.y) * block.grid_x + block.x;
  const int tiles = ceil_div(params.k, Shape::kBlockK);
  place.k_tile = tiles * place.split / Shape::kSplits;
  place.k_tiles = tiles * (place.split + 1) / Shape::kSplits - place.k_tile;
  return place;
}

// Offset of a batch item in elements. A single product, the common case, spends no division on it.
DUET_DEVICE i64 batch_offset(const GemmParams& params, int batch, i64 stride_outer, i64 stride_inner) {
  if (params.batch == 1) return 0;
  return batch / params.batch_inner * stride_outer + batch % params.batch_inner * stride_inner;
}

}  // namespace duet
