// Everything a kernel asks of the hardware, in one place: on a device inline PTX, on the host the emulator's hooks.
//
// Rules the emulator relies on:
// - Shared memory is one dynamic allocation, addressed by byte (SmemAddr) and touched only through the functions here.
// - Control flow around a block-wide or warp-wide function is uniform over the block or the warp.
// - A kernel is declared by DUET_KERNEL and takes one plain struct, named `params` in its body.
#pragma once

#include "templates/device/types.h"

#if defined(__CUDACC_RTC__) || defined(__CUDACC__)

#define DUET_DEVICE __device__ __forceinline__
#define DUET_UNROLL _Pragma("unroll")
#define DUET_NO_UNROLL _Pragma("unroll 1")
#define DUET_KERNEL(name, Params, threads, min_blocks_per_sm) \
  extern "C" __global__ void __launch_bounds__(threads, min_blocks_per_sm) name(const __grid_constant__ Params params)

extern __shared__ __align__(1024) unsigned char duet_dynamic_smem[];

namespace duet {

using SmemAddr = u32;  // byte address in the block's shared window

// ---- where am I
DUET_DEVICE int thread_index() { return static_cast<int>(threadIdx.x); }
DUET_DEVICE int block_index_x() { return static_cast<int>(blockIdx.x); }
DUET_DEVICE int block_index_y() { return static_cast<int>(blockIdx.y); }
DUET_DEVICE int block_index_z() { return static_cast<int>(blockIdx.z); }
DUET_DEVICE int grid_size_x() { return static_cast<int>(gridDim.x); }
DUET_DEVICE int grid_size_y() { return static_cast<int>(gridDim.y); }
DUET_DEVICE int grid_size_z() { return static_cast<int>(gridDim.z); }

// ---- shared memory
DUET_DEVICE SmemAddr smem_base() { return static_cast<u32>(__cvta_generic_to_shared(duet_dynamic_smem)); }

DUET_DEVICE u32 ld_shared_u32(SmemAddr addr) {
  u32 value;
  asm volatile("ld.shared.u32 %0, [%1];" : "=r"(value) : "r"(addr) : "memory");
  return value;
}
DUET_DEVICE void st_shared_u32(SmemAddr addr, u32 value) {
  asm volatile("st.shared.u32 [%0], %1;" ::"r"(addr), "r"(value) : "memory");
}
DUET_DEVICE float ld_shared_f32(SmemAddr addr) { return __uint_as_float(ld_shared_u32(addr)); }
DUET_DEVICE void st_shared_f32(SmemAddr addr, float value) { st_shared_u32(addr, __float_as_uint(value)); }
DUET_DEVICE Vec16 ld_shared_vec16(SmemAddr addr) {
  Vec16 v;
  asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.word[0]), "=r"(v.word[1]), "=r"(v.word[2]), "=r"(v.word[3])
               : "r"(addr)
               : "memory");
  return v;
}
DUET_DEVICE void st_shared_vec16(SmemAddr addr, Vec16 v) {
  asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"(addr), "r"(v.word[0]), "r"(v.word[1]), "r"(v.word[2]),
               "r"(v.word[3])
               : "memory");
}
DUET_DEVICE Vec8 ld_shared_vec8(SmemAddr addr) {
  Vec8 v;
  asm volatile("ld.shared.v2.u32 {%0, %1}, [%2];" : "=r"(v.word[0]), "=r"(v.word[1]) : "r"(addr) : "memory");
  return v;
}
DUET_DEVICE void st_shared_vec8(SmemAddr addr, Vec8 v) {
  asm volatile("st.shared.v2.u32 [%0], {%1, %2};" ::"r"(addr), "r"(v.word[0]), "r"(v.word[1]) : "memory");
}

// Copies kBytes (4, 8 or 16, both sides aligned to it) from global to shared memory without waiting; zeros are
// written instead where `valid` is false, and `src` is then not read (it must still be a mapped address).
template <int kBytes>
DUET_DEVICE void cp_async(SmemAddr dst, const void* src, bool valid) {
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16, "cp.async moves 4, 8 or 16 bytes");
  if constexpr (kBytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(dst), "l"(src), "r"(valid ? 16 : 0) : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(dst), "l"(src), "n"(kBytes),
                 "r"(valid ? kBytes : 0)
                 : "memory");
  }
}
DUET_DEVICE void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until at most kPending of this thread's committed groups are in flight. Others see the data after sync_threads.
template <int kPending>
DUET_DEVICE void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

// Loads four 8x8 matrices of 16-bit elements; lane l gives the address of row (l % 8) of matrix (l / 8).
DUET_DEVICE void ldmatrix_x4(u32 (&r)[4], SmemAddr row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(row)
               : "memory");
}
// As ldmatrix_x4, each matrix transposed.
DUET_DEVICE void ldmatrix_x4_trans(u32 (&r)[4], SmemAddr row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(row)
               : "memory");
}

// ---- barriers
DUET_DEVICE void sync_threads() { __syncthreads(); }
// A barrier among the first `kThreads` threads of the block (whole warps): all there are, unless the kernel shares its
// launch with one that needs more.
template <int kThreads>
DUET_DEVICE void sync_block() {
  asm volatile("bar.sync 0, %0;" ::"n"(kThreads) : "memory");
}
DUET_DEVICE void sync_warp() { __syncwarp(); }
// A barrier among `threads` threads of the block (whole warps); ids 1 to 15.
DUET_DEVICE void named_barrier(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

// ---- between kernels of a stream (programmatic dependent launch, sm_90 and up; nothing to do before)
// A kernel launched that way may start while the kernel before it still runs. Before it touches anything but weights it
// must call wait_for_predecessor(), which returns when all earlier kernels of the stream have ended and their writes
// are visible. It then calls release_successor(), so that the next kernel may start: never before its own wait, which
// is what makes "the predecessor has ended" mean "all before it have" and keeps stale lines out of the next kernel's
// L1.
DUET_DEVICE void wait_for_predecessor() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
DUET_DEVICE void release_successor() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// ---- between blocks
// Adds to a counter in global memory (acquire and release at device scope) and returns the value before.
DUET_DEVICE u32 counter_add(u32* counter, u32 value) {
  u32 before;
  asm volatile("atom.add.acq_rel.gpu.global.u32 %0, [%1], %2;" : "=r"(before) : "l"(counter), "r"(value) : "memory");
  return before;
}
// The same, release alone, without an answer.
DUET_DEVICE void counter_release(u32* counter, u32 value) {
  asm volatile("red.release.gpu.global.add.u32 [%0], %1;" ::"l"(counter), "r"(value) : "memory");
}
// Spins until a counter reaches a value (acquire). Who is waited for must be resident, or certain to become so.
DUET_DEVICE void counter_wait(const u32* counter, u32 at_least) {
  u32 value;
  do {
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(counter) : "memory");
  } while (value < at_least);
}

// What a counter holds now (acquire).
DUET_DEVICE u32 counter_load(const u32* counter) {
  u32 value;
  asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(counter) : "memory");
  return value;
}

// ---- time
DUET_DEVICE u64 clock_cycles() {
  u64 cycles;
  asm volatile("mov.u64 %0, %%clock64;" : "=l"(cycles)::"memory");
  return cycles;
}
// Leaves the SM to others for about as long.
DUET_DEVICE void pause_ns(u32 ns) { asm volatile("nanosleep.u32 %0;" ::"r"(ns) : "memory"); }

// ---- global memory; addresses are aligned to the size of the access
// Reads what no other block of this launch writes. Never by the non-coherent path (ld.global.nc): it may be taken ahead
// of wait_for_predecessor(), since it promises that nothing changes while the kernel runs, and a kernel that starts
// early runs beside the one that writes its input.
DUET_DEVICE Vec16 ld_global_vec16(const void* src) {
  Vec16 v;
  asm volatile("ld.global.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.word[0]), "=r"(v.word[1]), "=r"(v.word[2]), "=r"(v.word[3])
               : "l"(src)
               : "memory");
  return v;
}
DUET_DEVICE void st_global_vec16(void* dst, Vec16 v) {
  asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(dst), "r"(v.word[0]), "r"(v.word[1]), "r"(v.word[2]),
               "r"(v.word[3])
               : "memory");
}
// Where `valid`, and without a branch, across which the compiler moves nothing.
DUET_DEVICE void st_global_vec16_if(bool valid, void* dst, Vec16 v) {
  asm volatile(
      "{\n\t.reg .pred p;\n\tsetp.ne.u32 p, %5, 0;\n\t"
      "@p st.global.v4.u32 [%0], {%1, %2, %3, %4};\n\t}" ::"l"(dst),
      "r"(v.word[0]), "r"(v.word[1]), "r"(v.word[2]), "r"(v.word[3]), "r"(static_cast<u32>(valid))
      : "memory");
}
DUET_DEVICE u32 ld_global_u32(const void* src) {
  u32 value;
  asm volatile("ld.global.u32 %0, [%1];" : "=r"(value) : "l"(src) : "memory");
  return value;
}
DUET_DEVICE u16 ld_global_u16(const void* src) {
  u16 value;
  asm volatile("ld.global.u16 %0, [%1];" : "=h"(value) : "l"(src) : "memory");
  return value;
}
DUET_DEVICE void st_global_u32(void* dst, u32 value) {
  asm volatile("st.global.u32 [%0], %1;" ::"l"(dst), "r"(value) : "memory");
}
DUET_DEVICE void st_global_vec8(void* dst, Vec8 v) {
  asm volatile("st.global.v2.u32 [%0], {%1, %2};" ::"l"(dst), "r"(v.word[0]), "r"(v.word[1]) : "memory");
}
DUET_DEVICE void st_global_u16(void* dst, u16 value) {
  asm volatile("st.global.u16 [%0], %1;" ::"l"(dst), "h"(value) : "memory");
}
// Reads what another block of this launch may have written (never from the non-coherent cache).
DUET_DEVICE Vec8 ld_global_coherent_vec8(const void* src) {
  Vec8 v;
  asm volatile("ld.global.cg.v2.u32 {%0, %1}, [%2];" : "=r"(v.word[0]), "=r"(v.word[1]) : "l"(src) : "memory");
  return v;
}
DUET_DEVICE Vec16 ld_global_coherent_vec16(const void* src) {
  Vec16 v;
  asm volatile("ld.global.cg.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.word[0]), "=r"(v.word[1]), "=r"(v.word[2]), "=r"(v.word[3])
               : "l"(src)
               : "memory");
  return v;
}
DUET_DEVICE void prefetch_l2(const void* src) { asm volatile("prefetch.global.L2 [%0];" ::"l"(src)); }

// ---- within a warp
DUET_DEVICE float shuffle_xor(float value, int lane_mask) { return __shfl_xor_sync(0xffffffffu, value, lane_mask); }
DUET_DEVICE u32 shuffle_xor(u32 value, int lane_mask) { return __shfl_xor_sync(0xffffffffu, value, lane_mask); }
DUET_DEVICE float shuffle(float value, int lane) { return __shfl_sync(0xffffffffu, value, lane); }
DUET_DEVICE u32 shuffle(u32 value, int lane) { return __shfl_sync(0xffffffffu, value, lane); }

// c[i][j] += a[i] * b[j] with m16n8k16 tensor-core products of 16-bit elements, accumulated in fp32.
// Fragment layouts are PTX's: c[i][j][2h + e] is row 16i + lane/4 + 8h, column 8j + 2(lane%4) + e.
template <Dtype kDtype, int kM, int kN>
DUET_DEVICE void mma_tile(float (&c)[kM][kN][4], const u32 (&a)[kM][4], const u32 (&b)[kN][2]) {
  static_assert(kDtype == Dtype::f16 || kDtype == Dtype::bf16, "tensor-core products take f16 or bf16");
  DUET_UNROLL
  for (int i = 0; i < kM; ++i) {
    DUET_UNROLL
    for (int j = 0; j < kN; ++j) {
      if constexpr (kDtype == Dtype::f16) {
        asm volatile(
            "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
            : "+f"(c[i][j][0]), "+f"(c[i][j][1]), "+f"(c[i][j][2]), "+f"(c[i][j][3])
            : "r"(a[i][0]), "r"(a[i][1]), "r"(a[i][2]), "r"(a[i][3]), "r"(b[j][0]), "r"(b[j][1]));
      } else {
        asm volatile(
            "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
            : "+f"(c[i][j][0]), "+f"(c[i][j][1]), "+f"(c[i][j][2]), "+f"(c[i][j][3])
            : "r"(a[i][0]), "r"(a[i][1]), "r"(a[i][2]), "r"(a[i][3]), "r"(b[j][0]), "r"(b[j][1]));
      }
    }
  }
}

// ---- element conversions, round to nearest even
template <Dtype kDtype>
DUET_DEVICE float to_float(u16 bits) {
  if constexpr (kDtype == Dtype::f16) {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
  } else {
    return __uint_as_float(static_cast<u32>(bits) << 16);
  }
}
template <Dtype kDtype>
DUET_DEVICE u32 pack2(float low, float high) {  // low in bits 0-15
  u32 bits;
  if constexpr (kDtype == Dtype::f16) {
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
  } else {
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
  }
  return bits;
}
template <Dtype kDtype>
DUET_DEVICE u16 from_float(float value) {
  return static_cast<u16>(pack2<kDtype>(value, 0.0f));
}
DUET_DEVICE float bits_to_float(u32 bits) { return __uint_as_float(bits); }
DUET_DEVICE u32 float_to_bits(float value) { return __float_as_uint(value); }

// ---- fp32 functions
DUET_DEVICE float exp2_approx(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
DUET_DEVICE float rsqrt_approx(float x) {
  float y;
  asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
DUET_DEVICE float tanh_approx(float x) {
  float y;
  asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
DUET_DEVICE float error_function(float x) { return erff(x); }
DUET_DEVICE float max_f32(float a, float b) { return fmaxf(a, b); }
DUET_DEVICE float fused_multiply_add(float a, float b, float c) { return fmaf(a, b, c); }

}  // namespace duet

#else
#include "emulator/intrinsics_host.h"
#endif
