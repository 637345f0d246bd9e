// Tiled tensor-core GEMM with a fused prologue (layer norm, patch extraction) and epilogue; see gemm_config.h for what
// it computes.
//
// A block computes a (block_m, block_n) tile of C, its warps (warp_m, warp_n) parts of it, in steps of block_k.
// Tiles of A and B pass through a ring of `stages` buffers filled by cp.async: while one is multiplied, stages - 1 are
// on their way. The products that matter here have M = 50 to 729 and cold weights, so that a kernel is a few
// microseconds of waiting for DRAM: copies start before anything else, the weights' first.
#pragma once

#include "templates/common/gemm_block.cuh"
#include "templates/common/gemm_operands.cuh"
#include "templates/common/mma.cuh"
#include "templates/common/row_statistics.cuh"
#include "templates/common/split_k.cuh"
#include "templates/common/tile_groups.cuh"
#include "templates/common/tma_mainloop.cuh"
#include "templates/common/wgmma_mainloop.cuh"
#include "templates/epilogue.cuh"
#include "templates/transposed_epilogue.cuh"
#include "templates/wgmma_epilogue.cuh"

namespace duet {

template <class Shape>
class GemmMainloop {
  using A = typename OperandA<Shape, Shape::kOp.a>::Type;
  using B = typename OperandB<Shape, Shape::kOp.b>::Type;
  using Fragments = GemmFragments<Shape>;

 public:
  DUET_DEVICE GemmMainloop(const GemmParams& params, const GemmPlace& place, SmemAddr smem)
      : place_(place), smem_(smem), b_(params, place), a_(params, place) {}

  // Starts the copies of the first stages - 1 tiles of weights, which need not wait for the kernel that writes A: their
  // way from DRAM is the longest, and it then overlaps that kernel. They join the group of the first tile of A.
  DUET_DEVICE void start_weights() const {
    if constexpr (Shape::kOp.constant_b) copy_first([&](int tile) { copy_b(tile, tile); });
  }

  // Starts the copies of the other operand. Each tile is one group, empty where there is no such tile, so that counting
  // groups is counting tiles.
  DUET_DEVICE void start() const {
    copy_first([&](int tile) {
      if constexpr (!Shape::kOp.constant_b) copy_b(tile, tile);
      copy_a(tile, tile);
      cp_async_commit();
    });
  }

  // Accumulates the block's share of k. Copies started after start() are complete at the end as well.
  DUET_DEVICE void run(float (&acc)[Shape::kM][Shape::kN][4], RowStatistics<Shape>& statistics) const {
    Fragments fragments[2];
    int slot = 0;
    if (place_.k_tiles > 0) {
      await_next_tile();
      load_fragments(fragments[0], slot, 0);
    }
    DUET_NO_UNROLL
    for (int tile = 0; tile < place_.k_tiles; ++tile) {
      const int next_slot = slot + 1 < Shape::kStages ? slot + 1 : 0;
      if constexpr (Shape::kKSteps == 1) refill(tile, slot);  // the barrier below counts on it
      DUET_UNROLL
      for (int k_step = 0; k_step < Shape::kKSteps; ++k_step) {
        Fragments& current = fragments[k_step % 2];
        Fragments& next = fragments[(k_step + 1) % 2];
        if (k_step + 1 < Shape::kKSteps) {
          load_fragments(next, slot, k_step + 1);
        } else if (tile + 1 < place_.k_tiles) {
          await_next_tile();
          load_fragments(next, next_slot, 0);
        }
        mma_tile<Shape::kDtype>(acc, current.a, current.b);
        statistics.add(current.a, tile, k_step);
        // Behind the first products: before them, the copies' address arithmetic would keep the tensor cores waiting.
        if (Shape::kKSteps > 1 && k_step == 0) refill(tile, slot);
      }
      if constexpr (Shape::kKSteps % 2 == 1) fragments[0] = fragments[1];
      slot = next_slot;
    }
    cp_async_commit();  // a share without tiles has not committed the epilogue's copies yet
    cp_async_wait<0>();
  }

 private:
  // Makes the oldest tile in flight readable by all warps. Both before and within the loop, stages - 1 tiles are in
  // flight at this point, so all groups but the newest stages - 2 must be complete.
  DUET_DEVICE void await_next_tile() const {
    cp_async_wait<Shape::kStages - 2>();
    sync_block<Shape::kThreads>();
  }

  DUET_DEVICE SmemAddr b_slot(int slot) const { return smem_ + static_cast<u32>(slot * Shape::kConfig.stage_bytes()); }
  DUET_DEVICE SmemAddr a_slot(int slot) const {
    return b_slot(slot) + static_cast<u32>(Shape::kConfig.b_stage_bytes());
  }

  // Starts the copy of the tile that is stages - 1 ahead into the slot before this one, which was read for the last
  // time before the barrier that opened this tile.
  DUET_DEVICE void refill(int tile, int slot) const {
    const int free_slot = slot > 0 ? slot - 1 : Shape::kStages - 1;
    copy_b(tile + Shape::kStages - 1, free_slot);
    copy_a(tile + Shape::kStages - 1, free_slot);
    cp_async_commit();
  }

  template <class Copy>
  DUET_DEVICE void copy_first(Copy copy) const {
    DUET_UNROLL
    for (int tile = 0; tile < Shape::kStages - 1; ++tile) copy(tile);
  }

  DUET_DEVICE void copy_b(int tile, int slot) const {
    if (tile < place_.k_tiles) b_.load(b_slot(slot), (place_.k_tile + tile) * Shape::kBlockK);
  }
  DUET_DEVICE void copy_a(int tile, int slot) const {
    if (tile < place_.k_tiles) a_.load(a_slot(slot), (place_.k_tile + tile) * Shape::kBlockK);
  }

  DUET_DEVICE void load_fragments(Fragments& fragments, int slot, int k_step) const {
    const int step = place_.warp_k * Shape::kKSteps + k_step;
    load_a<Shape::kM, Shape::kKChunks>(fragments.a, a_slot(slot), place_.warp_row, step, place_.lane);
    B::load_fragments(fragments.b, b_slot(slot), place_.warp_column, step, place_.lane);
  }

  const GemmPlace& place_;
  SmemAddr smem_;
  B b_;  // (n, k) tiles
  A a_;  // (m, k) tiles
};

// Asks for the weights of a kernel to come, each thread of the grid for some lines of 128 bytes. Nothing waits for
// them.
DUET_DEVICE void prefetch_next_weights(const GemmParams& params, const GridBlock& block, int threads) {
  const i64 stride = static_cast<i64>(block.count()) * threads * 128;
  const unsigned char* data = static_cast<const unsigned char*>(params.next_weights);
  for (i64 at = (static_cast<i64>(block.index()) * threads + thread_index()) * 128; at < params.next_weights_bytes;
       at += stride)
    prefetch_l2(data + at);
}

template <class Shape, bool kWgmma = Shape::kWgmma, bool kTransposed = Shape::kTransposed>
struct EpilogueOf {
  using Type = GemmEpilogue<Shape>;
};
#ifdef DUET_HAS_WGMMA
template <class Shape>
struct EpilogueOf<Shape, true, false> {
  using Type = WgmmaEpilogue<Shape>;
};
template <class Shape>
struct EpilogueOf<Shape, true, true> {
  using Type = TransposedEpilogue<Shape>;
};
#endif

// From the accumulators to C.
template <class Shape, class Epilogue>
DUET_DEVICE void finish_tile(const GemmParams& params, const GemmPlace& place, const Epilogue& epilogue,
                             const TileSums<Shape>& sums, const RowStatistics<Shape>& statistics, SmemAddr smem) {
  using Group = TileGroup<Shape>;
  WrittenRowSums<Shape> row_sums(params, place, smem);
  if constexpr (Shape::kSplits > 1) {
    const SplitK<Shape> split(params, place, smem);
    if (!split.is_last()) {
      split.leave(sums, statistics);
      return;
    }
    const auto own = split.own_sums(sums);
    split.await_others();
    const auto sums_of = [&](int row) {
      const RowSums own_sums = statistics.total(row);
      return Shape::kSumsRows ? split.row_sums(row, own_sums) : own_sums;
    };
    typename Epilogue::template Terms<decltype(sums_of)> terms(params, place, sums_of, smem);
    split.for_each_sum(own,
                       [&](const Group& group, const Float8& sum) { epilogue.finish(group, sum, terms, row_sums); });
    split.reset();
  } else {
    const auto sums_of = [&](int row) { return statistics.total(row); };
    typename Epilogue::template Terms<decltype(sums_of)> terms(params, place, sums_of, smem);
    for_each_group<Shape>(place, [&](const Group& group) { epilogue.finish(group, sums.sum(group), terms, row_sums); });
  }
  epilogue.finish_last(row_sums);
  row_sums.finish();
}

// From the main loop's accumulators to C.
template <class Shape, class Mainloop, class Epilogue>
DUET_DEVICE void multiply(const GemmParams& params, const GemmPlace& place, const Mainloop& mainloop,
                          const Epilogue& epilogue, SmemAddr smem) {
  float acc[Shape::kM][Shape::kN][4];  // (warp_m, warp_n)
  clear_accumulators(acc);
  RowStatistics<Shape> statistics(params, place, smem);
  statistics.ask();
  mainloop.run(acc, statistics);
  statistics.publish();
  sync_math<Shape>();  // the stages are free, the epilogue's operands and the warps' sums have arrived

  const TileSums<Shape> sums(place, smem, acc);
  sums.exchange_sets();
  finish_tile<Shape>(params, place, epilogue, sums, statistics, smem);
}

#ifdef DUET_HAS_TMA
template <class Shape, bool kWgmma = Shape::kWgmma>
struct TiledMainloop {
  using Type = TmaMainloop<Shape>;
};
#ifdef DUET_HAS_WGMMA
template <class Shape>
struct TiledMainloop<Shape, true> {
  using Type = WgmmaMainloop<Shape>;
};
#endif

// One warp asks for tiles, the others multiply; or one of these asks as well.
template <class Shape, class Epilogue>
DUET_DEVICE void gemm_tma(const GemmParams& params, const GridBlock& block, const GemmPlace& place,
                          const Epilogue& epilogue, SmemAddr smem) {
  const TmaTiles<Shape> tiles(params, place, smem);
  tiles.open();
  if (thread_index() >= Shape::kThreads) {
    if (place.lane == 0) tiles.produce();
  } else {
    if constexpr (!Shape::kConfig.loading_warp()) {
      if (thread_index() == 0) tiles.ask_first_rows();
    }
    epilogue.prefetch_columns();
    prefetch_next_weights(params, block, Shape::kThreads);
    wait_for_predecessor();
    release_successor();
    epilogue.prefetch_residual();
    using Mainloop = typename TiledMainloop<Shape>::Type;
    multiply<Shape>(params, place, Mainloop(tiles, place), epilogue, smem);
  }
}
#endif

// Each thread copies its part of the tiles and multiplies.
template <class Shape, class Epilogue>
DUET_DEVICE void gemm_copying(const GemmParams& params, const GridBlock& block, const GemmPlace& place,
                              const Epilogue& epilogue, SmemAddr smem) {
  const GemmMainloop<Shape> mainloop(params, place, smem);
  // What was written before this launch comes first: it need not wait for the kernel before.
  mainloop.start_weights();
  epilogue.prefetch_columns();
  prefetch_next_weights(params, block, Shape::kThreads);
  wait_for_predecessor();
  release_successor();
  mainloop.start();
  epilogue.prefetch_residual();
  multiply<Shape>(params, place, mainloop, epilogue, smem);
}

template <class Config>
DUET_DEVICE void gemm(const GemmParams& params, const GridBlock& block = launched_block()) {
  using Shape = GemmShape<Config>;
  static_assert(!Shape::kTma || kHasTma, "tma needs sm_90 or newer");
  static_assert(!Shape::kWgmma || kHasWgmma, "warpgroup products need sm_90a");
  const SmemAddr smem = smem_base();
  const GemmPlace place = gemm_place<Shape>(params, block);
  const typename EpilogueOf<Shape>::Type epilogue(params, place, smem);
  if constexpr (Shape::kTma) {
#ifdef DUET_HAS_TMA
    gemm_tma<Shape>(params, block, place, epilogue, smem);
#endif
  } else {
    gemm_copying<Shape>(params, block, place, epilogue, smem);
  }
}

}  // namespace duet
