// The host side of templates/device/intrinsics.cuh: each function has the device's meaning and is carried out by the
// emulator through the C hooks below. Compiled as C++17 with every generated stub, so it includes no standard header.
#pragma once

#include "templates/device/types.h"

#define DUET_DEVICE inline
#define DUET_UNROLL
#define DUET_NO_UNROLL

// The process that runs the kernels exports these (emulator/hooks.cpp).
extern "C" {

// The thread that runs now; the scheduler keeps it current.
struct DuetEmulatorThread {
  int thread;
  int block[3];
  int grid[3];
};
extern DuetEmulatorThread duet_emulator_thread;

void duet_emulator_shared_load(unsigned addr, unsigned bytes, void* destination);
void duet_emulator_shared_store(unsigned addr, unsigned bytes, const void* source);
void duet_emulator_copy_issue(unsigned addr, const void* source, unsigned bytes, int valid);
void duet_emulator_copy_commit();
void duet_emulator_copy_wait(unsigned pending_groups);
void duet_emulator_ldmatrix(unsigned* registers, unsigned row, int transposed);
void duet_emulator_barrier(int id, int threads);  // id 0 with 0 threads: the whole block
void duet_emulator_sync_warp();
unsigned duet_emulator_shuffle(unsigned value, int lane);
void duet_emulator_mma(int dtype, int tiles_m, int tiles_n, float* c, const unsigned* a, const unsigned* b);
void duet_emulator_counter_wait(const unsigned* counter, unsigned at_least);
void duet_emulator_global_misaligned(const void* address, unsigned bytes);  // does not return
// What sm_90 has beyond sm_87.
void duet_emulator_mbarrier_init(unsigned barrier, int arrivals);
void duet_emulator_mbarrier_arrive(unsigned barrier, int expected_bytes);
void duet_emulator_mbarrier_wait(unsigned barrier, unsigned parity);
void duet_emulator_tile_load(unsigned destination, const void* map, int row, int column, unsigned barrier);
void duet_emulator_wgmma(int dtype, int columns, float* c, unsigned long long a, unsigned long long b);
void duet_emulator_wgmma_commit();
void duet_emulator_wgmma_wait(unsigned pending_groups);

// What DUET_KERNEL records of a kernel, under the name <kernel>_info.
struct DuetEmulatorKernelInfo {
  int threads;
  unsigned param_bytes;
};
}

#define DUET_EMULATOR_EXPORT __attribute__((visibility("default")))

#define DUET_KERNEL(name, Params, threads_per_block, min_blocks_per_sm)                       \
  static void name##_body(const Params& params);                                              \
  extern "C" {                                                                                \
  extern DUET_EMULATOR_EXPORT const DuetEmulatorKernelInfo name##_info;                       \
  const DuetEmulatorKernelInfo name##_info = {static_cast<int>(threads_per_block),            \
                                              static_cast<unsigned>(sizeof(Params))};         \
  DUET_EMULATOR_EXPORT void name(const void* raw_params);                                     \
  void name(const void* raw_params) { name##_body(*static_cast<const Params*>(raw_params)); } \
  }                                                                                           \
  static void name##_body([[maybe_unused]] const Params& params)

namespace duet {

using SmemAddr = u32;  // byte address in the block's shared window, which does not start at 0

namespace host {

inline void require_aligned(const void* address, u32 bytes) {
  if (reinterpret_cast<u64>(address) % bytes != 0) duet_emulator_global_misaligned(address, bytes);
}

template <typename T>
T load_global(const void* address) {
  require_aligned(address, sizeof(T));
  T value;
  __builtin_memcpy(&value, address, sizeof(T));
  return value;
}

template <typename T>
void store_global(void* address, T value) {
  require_aligned(address, sizeof(T));
  __builtin_memcpy(address, &value, sizeof(T));
}

// binary16 to fp32: the exponent moves by a multiplication, which is exact for subnormals too.
inline float half_to_float(u16 half) {
  const u32 magnitude = (half & 0x7fffu) << 13;
  float value = __builtin_bit_cast(float, magnitude) * 0x1p112f;
  u32 bits = __builtin_bit_cast(u32, value);
  if (magnitude >= 0x0f800000u) bits |= 0x7f800000u;  // infinity or NaN
  bits |= (half & 0x8000u) << 16;
  return __builtin_bit_cast(float, bits);
}

// What a TensorMap holds here.
struct TiledMatrix {
  const u16* data;
  int rows, columns, ld, box_rows;
};

// fp32 to binary16, nearest even; a NaN becomes the one PTX writes.
inline u16 float_to_half(float value) {
  const u32 bits = __builtin_bit_cast(u32, value);
  const u32 sign = (bits >> 16) & 0x8000u;
  const u32 magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return 0x7fffu;
  if (magnitude >= 0x47800000u) return static_cast<u16>(sign | 0x7c00u);
  if (magnitude < 0x38800000u) {  // subnormal: the unit of 0.5f is that of a subnormal half, so the adder rounds
    const float shifted = __builtin_bit_cast(float, magnitude) + 0.5f;
    return static_cast<u16>(sign | (__builtin_bit_cast(u32, shifted) - 0x3f000000u));
  }
  const u32 rounded = magnitude + 0x0fffu + ((magnitude >> 13) & 1u);
  return static_cast<u16>(sign | ((rounded - 0x38000000u) >> 13));
}

inline float bf16_to_float(u16 bits) { return __builtin_bit_cast(float, static_cast<u32>(bits) << 16); }

inline u16 float_to_bf16(float value) {
  const u32 bits = __builtin_bit_cast(u32, value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fffu;
  return static_cast<u16>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

// The .ftz of PTX: subnormals read and written as zero of the same sign.
inline float flush_subnormal(float value) {
  const u32 bits = __builtin_bit_cast(u32, value);
  return (bits & 0x7f800000u) == 0 ? __builtin_bit_cast(float, bits & 0x80000000u) : value;
}

}  // namespace host

// ---- where am I
DUET_DEVICE int thread_index() { return duet_emulator_thread.thread; }
DUET_DEVICE int block_index_x() { return duet_emulator_thread.block[0]; }
DUET_DEVICE int block_index_y() { return duet_emulator_thread.block[1]; }
DUET_DEVICE int block_index_z() { return duet_emulator_thread.block[2]; }
DUET_DEVICE int grid_size_x() { return duet_emulator_thread.grid[0]; }
DUET_DEVICE int grid_size_y() { return duet_emulator_thread.grid[1]; }
DUET_DEVICE int grid_size_z() { return duet_emulator_thread.grid[2]; }

// ---- element bits
DUET_DEVICE float bits_to_float(u32 bits) { return __builtin_bit_cast(float, bits); }
DUET_DEVICE u32 float_to_bits(float value) { return __builtin_bit_cast(u32, value); }

// ---- shared memory
// Not 0, so that an address computed without the base is out of bounds (emulator/shared_memory.h).
DUET_DEVICE SmemAddr smem_base() { return 1024; }

DUET_DEVICE u32 ld_shared_u32(SmemAddr addr) {
  u32 value;
  duet_emulator_shared_load(addr, 4, &value);
  return value;
}
DUET_DEVICE void st_shared_u32(SmemAddr addr, u32 value) { duet_emulator_shared_store(addr, 4, &value); }
DUET_DEVICE float ld_shared_f32(SmemAddr addr) { return bits_to_float(ld_shared_u32(addr)); }
DUET_DEVICE void st_shared_f32(SmemAddr addr, float value) { st_shared_u32(addr, float_to_bits(value)); }
DUET_DEVICE Vec16 ld_shared_vec16(SmemAddr addr) {
  Vec16 value;
  duet_emulator_shared_load(addr, 16, &value);
  return value;
}
DUET_DEVICE Vec8 ld_shared_vec8(SmemAddr addr) {
  Vec8 value;
  duet_emulator_shared_load(addr, 8, &value);
  return value;
}
DUET_DEVICE void st_shared_vec8(SmemAddr addr, Vec8 value) { duet_emulator_shared_store(addr, 8, &value); }
DUET_DEVICE void st_shared_vec16(SmemAddr addr, Vec16 value) { duet_emulator_shared_store(addr, 16, &value); }

template <int kBytes>
DUET_DEVICE void cp_async(SmemAddr dst, const void* src, bool valid) {
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16, "cp.async moves 4, 8 or 16 bytes");
  host::require_aligned(src, kBytes);
  if (valid) {  // touched here, where AddressSanitizer sees it; the copy itself may land later
    const volatile unsigned char* bytes = static_cast<const volatile unsigned char*>(src);
    static_cast<void>(bytes[0]);
    static_cast<void>(bytes[kBytes - 1]);
  }
  duet_emulator_copy_issue(dst, src, kBytes, valid ? 1 : 0);
}
DUET_DEVICE void cp_async_commit() { duet_emulator_copy_commit(); }
template <int kPending>
DUET_DEVICE void cp_async_wait() {
  static_assert(kPending >= 0, "a number of groups");
  duet_emulator_copy_wait(kPending);
}

DUET_DEVICE void ldmatrix_x4(u32 (&r)[4], SmemAddr row) { duet_emulator_ldmatrix(r, row, 0); }
DUET_DEVICE void ldmatrix_x4_trans(u32 (&r)[4], SmemAddr row) { duet_emulator_ldmatrix(r, row, 1); }

// ---- barriers
DUET_DEVICE void sync_threads() { duet_emulator_barrier(0, 0); }
template <int kThreads>
DUET_DEVICE void sync_block() {
  duet_emulator_barrier(0, kThreads);
}
DUET_DEVICE void sync_warp() { duet_emulator_sync_warp(); }
DUET_DEVICE void named_barrier(int id, int threads) { duet_emulator_barrier(id, threads); }

// ---- the tensor memory accelerator and its barriers (templates/device/tma.cuh)
#define DUET_HAS_TMA
constexpr bool kHasTma = true;
DUET_DEVICE void mbarrier_init(SmemAddr barrier, int arrivals) { duet_emulator_mbarrier_init(barrier, arrivals); }
DUET_DEVICE void mbarrier_init_fence() {}
DUET_DEVICE void mbarrier_arrive_expect(SmemAddr barrier, int bytes) { duet_emulator_mbarrier_arrive(barrier, bytes); }
DUET_DEVICE void mbarrier_arrive(SmemAddr barrier) { duet_emulator_mbarrier_arrive(barrier, 0); }
DUET_DEVICE void mbarrier_wait(SmemAddr barrier, u32 parity) { duet_emulator_mbarrier_wait(barrier, parity); }
DUET_DEVICE void tma_prefetch_map(const void*) {}
DUET_DEVICE void tma_load(SmemAddr dst, const void* map, int row, int column, SmemAddr barrier) {
  duet_emulator_tile_load(dst, map, row, column, barrier);
}

// ---- warpgroup products (templates/device/wgmma.cuh)
#define DUET_HAS_WGMMA
constexpr bool kHasWgmma = true;
DUET_DEVICE void wgmma_fence() {}
DUET_DEVICE void wgmma_commit() { duet_emulator_wgmma_commit(); }
template <int kPending>
DUET_DEVICE void wgmma_wait() {
  duet_emulator_wgmma_wait(kPending);
}
template <int kN>
DUET_DEVICE void wgmma_keep(float (&)[kN][4]) {}
template <Dtype kDtype, int kColumns>
struct Wgmma {
  static DUET_DEVICE void add(float (&c)[kColumns / 8][4], u64 a, u64 b) {
    duet_emulator_wgmma(static_cast<int>(kDtype), kColumns, &c[0][0], a, b);
  }
};

// ---- between kernels: the emulator runs them one after the other
DUET_DEVICE void wait_for_predecessor() {}
DUET_DEVICE void release_successor() {}

// ---- between blocks; fibers switch only inside a hook, so plain accesses are atomic and ordered
DUET_DEVICE u32 counter_add(u32* counter, u32 value) {
  const u32 before = host::load_global<u32>(counter);
  host::store_global(counter, before + value);
  return before;
}
DUET_DEVICE void counter_release(u32* counter, u32 value) { counter_add(counter, value); }
DUET_DEVICE void counter_wait(const u32* counter, u32 at_least) {
  while (host::load_global<u32>(counter) < at_least) duet_emulator_counter_wait(counter, at_least);
}

DUET_DEVICE u32 counter_load(const u32* counter) { return host::load_global<u32>(counter); }

// ---- time: a step for each look at it
DUET_DEVICE u64 clock_cycles() {
  static u64 cycles = 0;
  return cycles += 1000;
}
DUET_DEVICE void pause_ns(u32) {}

// ---- global memory
DUET_DEVICE Vec16 ld_global_vec16(const void* src) { return host::load_global<Vec16>(src); }
DUET_DEVICE void st_global_vec16(void* dst, Vec16 value) { host::store_global(dst, value); }
DUET_DEVICE void st_global_vec16_if(bool valid, void* dst, Vec16 value) {
  if (valid) host::store_global(dst, value);
}
DUET_DEVICE u32 ld_global_u32(const void* src) { return host::load_global<u32>(src); }
DUET_DEVICE u16 ld_global_u16(const void* src) { return host::load_global<u16>(src); }
DUET_DEVICE void st_global_u32(void* dst, u32 value) { host::store_global(dst, value); }
DUET_DEVICE void st_global_vec8(void* dst, Vec8 value) { host::store_global(dst, value); }
DUET_DEVICE void st_global_u16(void* dst, u16 value) { host::store_global(dst, value); }
DUET_DEVICE Vec8 ld_global_coherent_vec8(const void* src) { return host::load_global<Vec8>(src); }
DUET_DEVICE Vec16 ld_global_coherent_vec16(const void* src) { return host::load_global<Vec16>(src); }
DUET_DEVICE void prefetch_l2(const void*) {}

// ---- within a warp
DUET_DEVICE u32 shuffle(u32 value, int lane) { return duet_emulator_shuffle(value, lane & 31); }
DUET_DEVICE float shuffle(float value, int lane) { return bits_to_float(shuffle(float_to_bits(value), lane)); }
DUET_DEVICE u32 shuffle_xor(u32 value, int lane_mask) { return shuffle(value, (thread_index() ^ lane_mask) & 31); }
DUET_DEVICE float shuffle_xor(float value, int lane_mask) {
  return bits_to_float(shuffle_xor(float_to_bits(value), lane_mask));
}

// Of each matrix, lane l stores elements (l / 4, l % 4 * 2) and the next.
DUET_DEVICE void stmatrix_x4(SmemAddr row, const u32 (&r)[4]) {
  const int lane = thread_index() & 31;
  for (int matrix = 0; matrix < 4; ++matrix)
    st_shared_u32(shuffle(row, 8 * matrix + lane / 4) + static_cast<u32>(lane % 4 * 4), r[matrix]);
}
// Column c of row r stands in lane 4 r + c / 2, in the half c % 2.
DUET_DEVICE void stmatrix_x4_trans(SmemAddr row, const u32 (&r)[4]) {
  const int lane = thread_index() & 31, half = lane / 4 % 2 * 16;
  u32 transposed[4];
  for (int matrix = 0; matrix < 4; ++matrix) {
    const u32 left = shuffle(r[matrix], lane % 4 * 2 * 4 + lane / 8);
    const u32 right = shuffle(r[matrix], (lane % 4 * 2 + 1) * 4 + lane / 8);
    transposed[matrix] = ((left >> half) & 0xffffu) | (right >> half) << 16;
  }
  stmatrix_x4(row, transposed);
}

template <Dtype kDtype, int kM, int kN>
DUET_DEVICE void mma_tile(float (&c)[kM][kN][4], const u32 (&a)[kM][4], const u32 (&b)[kN][2]) {
  static_assert(kDtype == Dtype::f16 || kDtype == Dtype::bf16, "tensor-core products take f16 or bf16");
  duet_emulator_mma(static_cast<int>(kDtype), kM, kN, &c[0][0][0], &a[0][0], &b[0][0]);
}

// ---- element conversions, round to nearest even
template <Dtype kDtype>
DUET_DEVICE float to_float(u16 bits) {
  if constexpr (kDtype == Dtype::f16) {
    return host::half_to_float(bits);
  } else {
    return host::bf16_to_float(bits);
  }
}
template <Dtype kDtype>
DUET_DEVICE u16 from_float(float value) {
  if constexpr (kDtype == Dtype::f16) {
    return host::float_to_half(value);
  } else {
    return host::float_to_bf16(value);
  }
}
template <Dtype kDtype>
DUET_DEVICE u32 pack2(float low, float high) {  // low in bits 0-15
  return from_float<kDtype>(low) | (static_cast<u32>(from_float<kDtype>(high)) << 16);
}

// ---- fp32 functions
DUET_DEVICE float exp2_approx(float x) { return host::flush_subnormal(__builtin_exp2f(host::flush_subnormal(x))); }
DUET_DEVICE float rsqrt_approx(float x) { return 1.0f / __builtin_sqrtf(host::flush_subnormal(x)); }
DUET_DEVICE float tanh_approx(float x) { return __builtin_tanhf(x); }
DUET_DEVICE float error_function(float x) { return __builtin_erff(x); }
DUET_DEVICE float max_f32(float a, float b) { return __builtin_fmaxf(a, b); }
DUET_DEVICE float fused_multiply_add(float a, float b, float c) { return __builtin_fmaf(a, b, c); }

}  // namespace duet
