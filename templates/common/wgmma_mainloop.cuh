// The main loop of a GEMM by warpgroup products (sm_90): tiles arrive as in tma_mainloop.cuh, and the tensor cores read
// both operands from them by themselves. What one warp's ldmatrix and mma.sync reach is two thirds of their rate at
// best.
//
// Warps are arranged along m first: four neighbours, a warpgroup, hold 64 rows, or, transposed, along n: 64 columns. A
// warpgroup's products of one tile are one group; while it runs, the group before is waited for and its slot given
// back.
#pragma once

#include "templates/common/gemm_block.cuh"
#include "templates/common/row_statistics.cuh"
#include "templates/common/tma_mainloop.cuh"
#include "templates/device/wgmma.cuh"

#ifdef DUET_HAS_WGMMA

namespace duet {

template <class Shape>
class WgmmaMainloop {
  static constexpr bool kTransposed = Shape::kTransposed;
  static constexpr int kColumns = kTransposed ? Shape::kM * kMmaM : Shape::kN * kMmaN;  // of a product
  static constexpr int kRowBytes = Shape::kBlockK * 2;
  using Product = Wgmma<Shape::kDtype, kColumns>;
  using Sums = float[1][kColumns / kMmaN][4];

 public:
  DUET_DEVICE WgmmaMainloop(const TmaTiles<Shape>& tiles, const GemmPlace& place) : tiles_(tiles), place_(place) {}

  // As GemmMainloop::run.
  DUET_DEVICE void run(float (&acc)[Shape::kM][Shape::kN][4], RowStatistics<Shape>& statistics) const {
    const Places first = first_places();
    Sums sums;
    clear_accumulators(sums);
    wgmma_keep(sums[0]);
    int slot = 0, last_slot = 0;
    u32 parity = 0, last_parity = 0;
    DUET_NO_UNROLL
    for (int tile = 0; tile < place_.k_tiles; ++tile) {
      tiles_.await(slot, parity);
      multiply(sums, first, slot);
      add_statistics(statistics, tile, slot);
      wgmma_wait<1>();
      if (tile > 0) hand_back(tile - 1, last_slot, last_parity);
      statistics.take_given(tile);
      last_slot = slot;
      last_parity = parity;
      tiles_.advance(slot, parity);
    }
    wgmma_wait<0>();
    wgmma_keep(sums[0]);
    hand_over(sums, acc);
    cp_async_commit();
    cp_async_wait<0>();  // the epilogue's copies
  }

 private:
  // A slot whose tile has been multiplied. Where no warp does nothing else, a thread of this one asks for the next
  // tile: the tensor cores have their products of a whole tile to go on with.
  DUET_DEVICE void hand_back(int tile, int slot, u32 parity) const {
    tiles_.release(slot);
    if constexpr (!Shape::kConfig.loading_warp()) {
      if (thread_index() == 0) tiles_.ask_next(tile, slot, parity);
      sync_warp();
    }
  }

  // Where a warpgroup's rows and columns begin in the first slot.
  struct Places {
    u32 rows, columns;
  };
  DUET_DEVICE Places first_places() const {
    const int group = (kTransposed ? place_.warp_n : place_.warp_m) / kWgmmaWarps;
    const int column = kTransposed ? place_.warp_row : place_.warp_column;
    const SmemAddr a = tiles_.a_slot(0), b = tiles_.b_slot(0);
    const u32 k = static_cast<u32>(place_.warp_k * Shape::kKSteps) * kWgmmaNextK;
    return Places{once(k + place_of(kTransposed ? b : a, group * kWgmmaRows)),
                  once(k + place_of(kTransposed ? a : b, column))};
  }
  static DUET_DEVICE u32 place_of(SmemAddr tile, int row) { return wgmma_place(tile) + wgmma_units(row * kRowBytes); }

  // The same in all lanes, from one of them: what comes of an exchange the compiler does not work out anew in each
  // turn.
  static DUET_DEVICE u32 once(u32 value) { return shuffle(value, 0); }

  DUET_DEVICE void multiply(Sums& sums, const Places& first, int slot) const {
    const u32 offset = static_cast<u32>(slot) * wgmma_units(Shape::kConfig.stage_bytes());
    wgmma_fence();
    DUET_UNROLL
    for (int k_step = 0; k_step < Shape::kKSteps; ++k_step) {
      const u32 at = offset + kWgmmaNextK * static_cast<u32>(k_step);
      Product::add(sums[0], wgmma_operand(first.rows + at), wgmma_operand(first.columns + at));
    }
    wgmma_commit();
  }

  // As the groups of C have them: transposed, fragments of the same rows of C lie side by side.
  static DUET_DEVICE void hand_over(const Sums& sums, float (&acc)[Shape::kM][Shape::kN][4]) {
    DUET_UNROLL
    for (int j = 0; j < kColumns / kMmaN; ++j) {
      float(&fragment)[4] = kTransposed ? acc[j / 2][j % 2] : acc[0][j];
      DUET_UNROLL
      for (int e = 0; e < 4; ++e) fragment[e] = sums[0][j][e];
    }
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
