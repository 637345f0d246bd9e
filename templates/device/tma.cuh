// What the tensor memory accelerator offers (sm_90 and up): tiles of a matrix copied by one instruction, and barriers
// in shared memory that count the bytes as they land.
#pragma once

#include "templates/device/intrinsics.cuh"

#if defined(__CUDACC_RTC__) || defined(__CUDACC__)  // the emulator has it in intrinsics_host.h
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
#define DUET_HAS_TMA
#endif

namespace duet {

#ifdef DUET_HAS_TMA
constexpr bool kHasTma = true;

// ---- barriers in shared memory: 8 bytes, aligned to 8. A phase ends when all arrivals it was made for have come and
// all bytes they announced have landed.
DUET_DEVICE void mbarrier_init(SmemAddr barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}
// Makes this thread's initialisations visible to copies.
DUET_DEVICE void mbarrier_init_fence() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
DUET_DEVICE void mbarrier_arrive_expect(SmemAddr barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}
DUET_DEVICE void mbarrier_arrive(SmemAddr barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
// Waits until the phase of this parity has ended.
DUET_DEVICE void mbarrier_wait(SmemAddr barrier, u32 parity) {
  u32 done;
  do {
    asm volatile(
        "{\n\t.reg .pred p;\n\t"
        "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n\t"
        "selp.u32 %0, 1, 0, p;\n\t}"
        : "=r"(done)
        : "r"(barrier), "r"(parity)
        : "memory");
  } while (done == 0);
}

// ---- copies. The box whose first element is (row, column) of the mapped matrix, permuted as tile_offset<8> has it and
// zero outside the matrix, to `dst`, aligned to 1024 bytes; `barrier` counts its bytes. The map is a kernel parameter.
DUET_DEVICE void tma_prefetch_map(const void* map) { asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory"); }
DUET_DEVICE void tma_load(SmemAddr dst, const void* map, int row, int column, SmemAddr barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::
          "r"(dst),
      "l"(map), "r"(column), "r"(row), "r"(barrier)
      : "memory");
}
#else
constexpr bool kHasTma = false;
#endif

}  // namespace duet
#endif
