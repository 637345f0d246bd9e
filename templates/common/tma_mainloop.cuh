// The main loop of a GEMM whose tiles arrive by the tensor memory accelerator: no thread computes an address, and no
// barrier stands between the warps. A warp of its own asks for tiles, as far ahead as there are stages, and asks for a
// slot again when all others have said that they are done with it. Where the towers share an SM, the issue slots and
// registers that copying threads would need are the other tower's.
#pragma once

#include "templates/common/gemm_block.cuh"
#include "templates/common/row_statistics.cuh"
#include "templates/device/tma.cuh"

#ifdef DUET_HAS_TMA

namespace duet {

// The stages, their barriers, and who fills them.
template <class Shape>
class TmaTiles {
  static constexpr int kStages = Shape::kStages;
  static constexpr int kStageBytes = Shape::kConfig.stage_bytes();
  static constexpr int kMathWarps = Shape::kThreads / 32;
  static_assert(Shape::kConfig.a_stage_bytes() % 1024 == 0 && Shape::kConfig.b_stage_bytes() % 1024 == 0,
                "tiles are aligned to 1024 bytes");

 public:
  DUET_DEVICE TmaTiles(const GemmParams& params, const GemmPlace& place, SmemAddr smem)
      : params_(params), place_(place), smem_(smem) {}

  // Before anything else, by all threads: makes the barriers and asks for the first weights, which need not wait for
  // the kernel that writes A. Thread 0 does so before the others are all there, as its warp is the first to start.
  DUET_DEVICE void open() const {
    if (thread_index() == 0) {
      tma_prefetch_map(&params_.map_b);
      tma_prefetch_map(&params_.map_a);
      for (int slot = 0; slot < kStages; ++slot) {
        mbarrier_init(full(slot), 1);
        mbarrier_init(empty(slot), kMathWarps);
      }
      mbarrier_init_fence();
      for (int tile = 0; tile < first_tiles(); ++tile) {
        mbarrier_arrive_expect(full(tile), kStageBytes);
        load_b(tile, tile);
      }
    }
    sync_block<Shape::kConfig.threads()>();
  }

  // By the one thread that asks for tiles: all that are left.
  DUET_DEVICE void produce() const {
    ask_first_rows();
    int slot = 0;
    u32 parity = 0;
    for (int tile = 0; tile < place_.k_tiles - kStages; ++tile) {
      ask_next(tile, slot, parity);
      advance(slot, parity);
    }
  }

  // Of A, as many tiles as there are slots.
  DUET_DEVICE void ask_first_rows() const {
    wait_for_predecessor();
    for (int tile = 0; tile < first_tiles(); ++tile) load_a(tile, tile);
  }

  // The one that follows `tile` in its slot, when all warps are done with that; parity as await() had it for `tile`.
  DUET_DEVICE void ask_next(int tile, int slot, u32 parity) const {
    const int next = tile + kStages;
    if (next >= place_.k_tiles) return;
    mbarrier_wait(empty(slot), parity);
    mbarrier_arrive_expect(full(slot), kStageBytes);
    load_b(next, slot);
    load_a(next, slot);
  }

  // By the warps that multiply: waits until a slot is full, and says that it has been read for the last time.
  DUET_DEVICE void await(int slot, u32 parity) const { mbarrier_wait(full(slot), parity); }
  DUET_DEVICE void release(int slot) const {
    sync_warp();
    if (place_.lane == 0) mbarrier_arrive(empty(slot));
  }
  static DUET_DEVICE void advance(int& slot, u32& parity) {
    if (++slot < kStages) return;
    slot = 0;
    parity ^= 1;
  }

  DUET_DEVICE SmemAddr b_slot(int slot) const { return smem_ + static_cast<u32>(slot * kStageBytes); }
  DUET_DEVICE SmemAddr a_slot(int slot) const {
    return b_slot(slot) + static_cast<u32>(Shape::kConfig.b_stage_bytes());
  }

 private:
  DUET_DEVICE int first_tiles() const { return place_.k_tiles < kStages ? place_.k_tiles : kStages; }

  DUET_DEVICE SmemAddr full(int slot) const {
    return smem_ + static_cast<u32>(Shape::kConfig.barrier_offset() + slot * 8);
  }
  DUET_DEVICE SmemAddr empty(int slot) const { return full(slot + kStages); }

  DUET_DEVICE void load_a(int tile, int slot) const {
    tma_load(a_slot(slot), &params_.map_a, place_.row0, (place_.k_tile + tile) * Shape::kBlockK, full(slot));
  }
  DUET_DEVICE void load_b(int tile, int slot) const {
    tma_load(b_slot(slot), &params_.map_b, place_.column0, (place_.k_tile + tile) * Shape::kBlockK, full(slot));
  }

  const GemmParams& params_;
  const GemmPlace& place_;
  SmemAddr smem_;
};

template <class Shape>
class TmaMainloop {
  using Fragments = GemmFragments<Shape>;

 public:
  DUET_DEVICE TmaMainloop(const TmaTiles<Shape>& tiles, const GemmPlace& place) : tiles_(tiles), place_(place) {}

  // As GemmMainloop::run.
  DUET_DEVICE void run(float (&acc)[Shape::kM][Shape::kN][4], RowStatistics<Shape>& statistics) const {
    Fragments fragments[2];
    int slot = 0, last_slot = 0;
    u32 parity = 0;
    DUET_NO_UNROLL
    for (int tile = 0; tile < place_.k_tiles; ++tile) {
      // Only here, a turn of the loop after its last fragments were asked for: the products that take them have been
      // issued, so that they have arrived. An arrival does not wait for ldmatrix: given back beside the last of them, a
      // slot was now and then written anew while it was being read.
      if (tile > 0) tiles_.release(last_slot);
      tiles_.await(slot, parity);
      load_fragments(fragments[0], slot, 0);
      DUET_UNROLL
      for (int k_step = 0; k_step < Shape::kKSteps; ++k_step) {
        Fragments& current = fragments[k_step % 2];
        if (k_step + 1 < Shape::kKSteps) load_fragments(fragments[(k_step + 1) % 2], slot, k_step + 1);
        mma_tile<Shape::kDtype>(acc, current.a, current.b);
        statistics.add(current.a, tile, k_step);
      }
      last_slot = slot;
      tiles_.advance(slot, parity);
    }
    cp_async_commit();
    cp_async_wait<0>();  // the epilogue's copies
  }

 private:
  DUET_DEVICE void load_fragments(Fragments& fragments, int slot, int k_step) const {
    const int step = place_.warp_k * Shape::kKSteps + k_step;
    load_a<Shape::kM, Shape::kKChunks>(fragments.a, tiles_.a_slot(slot), place_.warp_row, step, place_.lane);
    load_b<Shape::kN, Shape::kKChunks>(fragments.b, tiles_.b_slot(slot), place_.warp_column, step, place_.lane);
  }

  const TmaTiles<Shape>& tiles_;
  const GemmPlace& place_;
};

}  // namespace duet

#endif
