// Kernels of the emulator's own tests: a small pipelined tile GEMM that can be broken in named ways, and one kernel for
// each other rule. They use the intrinsics alone, so they also compile for a device.
#pragma once

#include "templates/device/intrinsics.cuh"

namespace duet {

// What is wrong with the GEMM.
enum class Defect : int {
  none = 0,
  missing_barrier,       // computes on a stage without waiting for the other warps' copies
  missing_wait,          // computes on a stage whose copies may be in flight
  store_out_of_bounds,   // copies past the end of shared memory
  stage_never_loaded,    // reads what was never written
  refill_stage_in_use,   // loads into the stage that slower warps still read
  refill_after_compute,  // as above, after the own compute, without a barrier
};

struct TileGemmParams {
  const u16* a;  // (m, k)
  const u16* b;  // (n, k)
  float* c;      // (m, n)
  int m, n, k;   // k a multiple of 8
};

// c = a * transpose(b) in tiles of 64 x 64 x 32, four warps, two or more stages of cp.async.
template <Dtype kDtype, int kStages, Defect kDefect>
struct TileGemm {
  static constexpr int kBlockM = 64, kBlockN = 64, kBlockK = 32, kThreads = 128;
  static constexpr int kWarpTilesM = 2, kWarpTilesN = 4;  // of 16 x 8; two warps each way
  static constexpr int kRowBytes = kBlockK * 2, kChunks = kBlockK / 8;
  static constexpr int kStageBytes = (kBlockM + kBlockN) * kRowBytes;
  static constexpr int kSmemBytes = kStages * kStageBytes;
  static constexpr bool kRefillsAhead =
      kDefect == Defect::refill_stage_in_use || kDefect == Defect::refill_after_compute;
  static constexpr int kPrefetch = kRefillsAhead ? kStages : kStages - 1;

  // The 16-byte chunk of a row, placed so that the rows of one ldmatrix fall into different banks.
  static DUET_DEVICE u32 chunk_offset(int row, int chunk) {
    return static_cast<u32>(row * kRowBytes + ((chunk ^ (row >> 1)) & (kChunks - 1)) * 16);
  }
  static DUET_DEVICE SmemAddr stage_a(int k_tile) {
    return smem_base() + static_cast<u32>(k_tile % kStages * kStageBytes);
  }
  static DUET_DEVICE SmemAddr stage_b(int k_tile) { return stage_a(k_tile) + kBlockM * kRowBytes; }

  static DUET_DEVICE void load_rows(SmemAddr stage, const u16* source, int first_row, int rows, int k, int k_tile) {
    for (int i = thread_index(); i < kBlockM * kChunks; i += kThreads) {
      const int row = i / kChunks, chunk = i % kChunks;
      const bool valid = first_row + row < rows && k_tile * kBlockK + chunk * 8 < k;
      const u16* chunk_source = source + static_cast<i64>(first_row + row) * k + k_tile * kBlockK + chunk * 8;
      const u32 beyond = kDefect == Defect::store_out_of_bounds ? kSmemBytes : 0;
      cp_async<16>(stage + chunk_offset(row, chunk) + beyond, valid ? chunk_source : source, valid);
    }
  }

  static DUET_DEVICE void load_stage(const TileGemmParams& p, int k_tile) {
    const bool skip = kDefect == Defect::stage_never_loaded && k_tile == 1;
    if (k_tile < ceil_div(p.k, kBlockK) && !skip) {
      load_rows(stage_a(k_tile), p.a, block_index_y() * kBlockM, p.m, p.k, k_tile);
      load_rows(stage_b(k_tile), p.b, block_index_x() * kBlockN, p.n, p.k, k_tile);
    }
    cp_async_commit();
  }

  static DUET_DEVICE void multiply_stage(float (&acc)[kWarpTilesM][kWarpTilesN][4], int k_tile) {
    const int lane = thread_index() % 32, warp = thread_index() / 32;
    const int row_a = warp / 2 * 32 + lane % 16, row_b = warp % 2 * 32 + lane % 8 + lane / 16 * 8;
    for (int kk = 0; kk < kBlockK / 16; ++kk) {
      u32 a[kWarpTilesM][4], b[kWarpTilesN][2];
      for (int i = 0; i < kWarpTilesM; ++i) {
        ldmatrix_x4(a[i], stage_a(k_tile) + chunk_offset(row_a + 16 * i, kk * 2 + lane / 16));
      }
      for (int j = 0; j < kWarpTilesN; j += 2) {
        u32 r[4];
        ldmatrix_x4(r, stage_b(k_tile) + chunk_offset(row_b + 8 * j, kk * 2 + lane / 8 % 2));
        b[j][0] = r[0], b[j][1] = r[1], b[j + 1][0] = r[2], b[j + 1][1] = r[3];
      }
      mma_tile<kDtype, kWarpTilesM, kWarpTilesN>(acc, a, b);
    }
  }

  static DUET_DEVICE void store(const TileGemmParams& p, const float (&acc)[kWarpTilesM][kWarpTilesN][4]) {
    const int lane = thread_index() % 32, warp = thread_index() / 32;
    for (int i = 0; i < kWarpTilesM; ++i) {
      for (int j = 0; j < kWarpTilesN; ++j) {
        for (int q = 0; q < 4; ++q) {
          const int row = block_index_y() * kBlockM + warp / 2 * 32 + i * 16 + lane / 4 + q / 2 * 8;
          const int column = block_index_x() * kBlockN + warp % 2 * 32 + j * 8 + lane % 4 * 2 + q % 2;
          if (row < p.m && column < p.n) p.c[static_cast<i64>(row) * p.n + column] = acc[i][j][q];
        }
      }
    }
  }

  static DUET_DEVICE void run(const TileGemmParams& p) {
    float acc[kWarpTilesM][kWarpTilesN][4] = {};
    for (int stage = 0; stage < kPrefetch; ++stage) load_stage(p, stage);
    for (int k_tile = 0; k_tile < ceil_div(p.k, kBlockK); ++k_tile) {
      if constexpr (kDefect != Defect::missing_wait) cp_async_wait<kPrefetch - 1>();
      if constexpr (kDefect != Defect::missing_barrier) sync_threads();
      if constexpr (kDefect != Defect::refill_after_compute) load_stage(p, k_tile + kPrefetch);
      multiply_stage(acc, k_tile);
      if constexpr (kDefect == Defect::refill_after_compute) load_stage(p, k_tile + kPrefetch);
    }
    store(p, acc);
  }
};

}  // namespace duet
