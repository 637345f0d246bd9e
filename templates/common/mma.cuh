// Operand fragments of the tensor-core product m16n8k16, from tiles in shared memory (common/tile.cuh) by ldmatrix.
//
// One k step is 16 elements, two chunks. Each function loads one warp's part of a tile for one k step; row0 is a
// multiple of 8.
#pragma once

#include "templates/common/tile.cuh"

namespace duet {

constexpr int kMmaM = 16;
constexpr int kMmaN = 8;
constexpr int kMmaK = 16;

// A from a tile (rows, k). ldmatrix's four matrices are (rows 0-7, k 0-7), (rows 8-15, k 0-7), and the same for k 8-15:
// lane l points at row l % 16 of chunk l / 16.
template <int kM, int kChunks>
DUET_DEVICE void load_a(u32 (&a)[kM][4], SmemAddr tile, int row0, int k_step, int lane) {
  DUET_UNROLL
  for (int i = 0; i < kM; ++i) {
    ldmatrix_x4(a[i], tile + tile_offset_from<kChunks>(row0 + i * kMmaM, lane % 16, k_step * 2 + lane / 16));
  }
}

// Two fragments of B from one ldmatrix; an odd last column of fragments keeps the first only.
template <int kN>
DUET_DEVICE void set_b_pair(u32 (&b)[kN][2], int j, const u32 (&r)[4]) {
  b[j][0] = r[0];
  b[j][1] = r[1];
  if (j + 1 < kN) {
    b[j + 1][0] = r[2];
    b[j + 1][1] = r[3];
  }
}

// B from a tile (n, k). The four matrices are (n 0-7, k 0-7), (n 0-7, k 8-15), and the same for n 8-15: lane l points
// at row l % 8 + 8 (l / 16) of chunk (l / 8) % 2. An odd last column reads its rows twice instead of leaving the tile.
template <int kN, int kChunks>
DUET_DEVICE void load_b(u32 (&b)[kN][2], SmemAddr tile, int row0, int k_step, int lane) {
  DUET_UNROLL
  for (int j = 0; j < kN; j += 2) {
    const int upper = j + 1 < kN ? lane / 16 * 8 : 0;
    u32 r[4];
    ldmatrix_x4(r, tile + tile_offset_from<kChunks>(row0 + j * kMmaN, lane % 8 + upper, k_step * 2 + lane / 8 % 2));
    set_b_pair(b, j, r);
  }
}

// B from a tile (k, n), transposed on the way. The four matrices are (k 0-7, n 0-7), (k 8-15, n 0-7), and the same for
// n 8-15: lane l points at row l % 16 of chunk l / 16.
template <int kN, int kChunks>
DUET_DEVICE void load_b_transposed(u32 (&b)[kN][2], SmemAddr tile, int column0, int k_step, int lane) {
  DUET_UNROLL
  for (int j = 0; j < kN; j += 2) {
    const int upper = j + 1 < kN ? lane / 16 : 0;
    u32 r[4];
    ldmatrix_x4_trans(r, tile + tile_offset_from<kChunks>(k_step * kMmaK, lane % 16, column0 / kMmaN + j + upper));
    set_b_pair(b, j, r);
  }
}

template <int kM, int kN>
DUET_DEVICE void clear_accumulators(float (&c)[kM][kN][4]) {
  DUET_UNROLL
  for (int i = 0; i < kM; ++i) {
    DUET_UNROLL
    for (int j = 0; j < kN; ++j) {
      DUET_UNROLL
      for (int e = 0; e < 4; ++e) c[i][j][e] = 0.0f;
    }
  }
}

}  // namespace duet
