// The main loop of a GEMM by warpgroup products (sm_90): tiles arrive as in tma_mainloop.cuh, and the tensor cores read
// both operands from them by themselves. What one warp's ldmatrix and mma.sync reach is two thirds of their rate at
// best.
//
// Warps are arranged along m first: four neighbours, a warpgroup, hold 64 rows. Its products of one tile are one group;
// while it runs, the group before is waited for and its slot given back.
#pragma once

#include "templates/common/gemm_block.cuh"
#include "templates/common/row_statistics.cuh"
#include "templates/common/tma_mainloop.cuh"
#include "templates/device/wgmma.cuh"

#ifdef DUET_HAS_WGMMA

namespace duet {

template <class Shape>
class WgmmaMainloop {
  using Product = Wgmma<Shape::kDtype, Shape::kN * kMmaN>;
  static constexpr int kRowBytes = Shape::kBlockK * 2;

 public:
  DUET_DEVICE WgmmaMainloop(const TmaTiles<Shape>& tiles, const GemmPlace& place) : tiles_(tiles), place_(place) {}

  // As GemmMainloop::run.
  DUET_DEVICE void run(float (&acc)[Shape::kM][Shape::kN][4], RowStatistics<Shape>& statistics) const {
    wgmma_keep(acc[0]);
    int slot = 0, last_slot = 0;
    u32 parity = 0;
    DUET_NO_UNROLL
    for (int tile = 0; tile < place_.k_tiles; ++tile) {
      tiles_.await(slot, parity);
      multiply(acc, slot);
      add_statistics(statistics, tile, slot);
      wgmma_wait<1>();
      if (tile > 0) tiles_.release(last_slot);
      last_slot = slot;
      tiles_.advance(slot, parity);
    }
    wgmma_wait<0>();
    wgmma_keep(acc[0]);
    cp_async_commit();
    cp_async_wait<0>();  // the epilogue's copies
  }

 private:
  DUET_DEVICE void multiply(float (&acc)[Shape::kM][Shape::kN][4], int slot) const {
    const int group_row = place_.warp_m / kWgmmaWarps * kWgmmaRows;
    const u64 first_k = static_cast<u64>(place_.warp_k * Shape::kKSteps) * kWgmmaNextK;
    u64 a = wgmma_operand(tiles_.a_slot(slot) + static_cast<u32>(group_row * kRowBytes)) + first_k;
    u64 b = wgmma_operand(tiles_.b_slot(slot) + static_cast<u32>(place_.warp_column * kRowBytes)) + first_k;
    wgmma_fence();
    DUET_UNROLL
    for (int k_step = 0; k_step < Shape::kKSteps; ++k_step) {
      Product::add(acc[0], a + kWgmmaNextK * k_step, b + kWgmmaNextK * k_step);
    }
    wgmma_commit();
  }

  // The products leave no fragments behind: the rows are read once more, while the tensor cores are busy.
  DUET_DEVICE void add_statistics(RowStatistics<Shape>& statistics, int tile, int slot) const {
    if constexpr (Shape::kSumsRows) {
      DUET_UNROLL
      for (int k_step = 0; k_step < Shape::kKSteps; ++k_step) {
        u32 a[Shape::kM][4];
        const int step = place_.warp_k * Shape::kKSteps + k_step;
        load_a<Shape::kM, Shape::kKChunks>(a, tiles_.a_slot(slot), place_.warp_row, step, place_.lane);
        statistics.add(a, tile, k_step);
      }
    }
  }

  const TmaTiles<Shape>& tiles_;
  const GemmPlace& place_;
};

}  // namespace duet

#endif
