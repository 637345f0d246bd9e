// Warpgroup products of sm_90 (compiled as sm_90a): 128 threads multiply tiles that stand in shared memory, without
// fragments of their own. No other architecture has them.
#pragma once

#include "templates/device/intrinsics.cuh"

namespace duet {

constexpr int kWgmmaRows = 64;  // of one product
constexpr int kWgmmaWarps = 4;  // of a warpgroup, 16 rows each

// An operand as the tensor cores are told of it: rows of 64 elements (128 bytes) whose 16-byte chunks are permuted as
// tile_offset<8> has it, in groups of eight rows 1024 bytes apart. Fields: PTX ISA, "Matrix descriptor": address / 16
// (bits 0-13), offset between groups / 16 (32-45), permutation of 128 bytes (62-63). Only the lower half differs
// between operands, so that one is found from another by a sum of 32 bits.
constexpr u32 wgmma_units(int bytes) { return static_cast<u32>(bytes) >> 4; }  // of a place in the lower half
DUET_DEVICE u32 wgmma_place(SmemAddr tile) { return tile >> 4; }               // of the first row; 1024-aligned
DUET_DEVICE u64 wgmma_operand(u32 place) { return place | (u64{1024 >> 4} << 32) | (u64{1} << 62); }
constexpr u32 kWgmmaNextK = wgmma_units(32);  // from a place to that of the next 16 elements of k

}  // namespace duet

#if defined(__CUDACC_RTC__) || defined(__CUDACC__)  // the emulator has the rest in intrinsics_host.h
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define DUET_HAS_WGMMA
#endif

namespace duet {

#ifdef DUET_HAS_WGMMA
constexpr bool kHasWgmma = true;

// Before the first product, and before products whose accumulators other instructions have touched.
DUET_DEVICE void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
// Closes a group of products.
DUET_DEVICE void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// Waits until at most kPending groups are unfinished.
template <int kPending>
DUET_DEVICE void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

// Keeps the compiler from moving what touches the accumulators across this point: a product's asm gives them back long
// before the tensor cores do, and ptxas serialises products whose registers are touched in between.
template <int kN>
DUET_DEVICE void wgmma_keep(float (&c)[kN][4]) {
  DUET_UNROLL
  for (int j = 0; j < kN; ++j) asm volatile("" : "+f"(c[j][0]), "+f"(c[j][1]), "+f"(c[j][2]), "+f"(c[j][3])::"memory");
}

// Stores four 8x8 matrices of 16-bit elements, as ldmatrix_x4 loads them: lane l gives the address of row (l % 8) of
// matrix (l / 8). By all lanes.
DUET_DEVICE void stmatrix_x4(SmemAddr row, const u32 (&r)[4]) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(row), "r"(r[0]), "r"(r[1]),
               "r"(r[2]), "r"(r[3])
               : "memory");
}
// As stmatrix_x4, each matrix transposed.
DUET_DEVICE void stmatrix_x4_trans(SmemAddr row, const u32 (&r)[4]) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(row), "r"(r[0]),
               "r"(r[1]), "r"(r[2]), "r"(r[3])
               : "memory");
}

// One product of (64, 16) by (kColumns, 16)', added to `c`: row lane / 4 + 8 (e / 2) of the warp's 16, column
// 8 j + lane % 4 * 2 + e % 2 for c[j][e], as mma.sync m16n8 lays them out.
template <Dtype kDtype, int kColumns>
struct Wgmma;

// clang-format off
#define DUET_WGMMA_NAMES_1 "%0,%1,%2,%3,%4,%5,%6,%7"
#define DUET_WGMMA_NAMES_2 DUET_WGMMA_NAMES_1 ",%8,%9,%10,%11,%12,%13,%14,%15"
#define DUET_WGMMA_NAMES_3 DUET_WGMMA_NAMES_2 ",%16,%17,%18,%19,%20,%21,%22,%23"
#define DUET_WGMMA_NAMES_4 DUET_WGMMA_NAMES_3 ",%24,%25,%26,%27,%28,%29,%30,%31"
#define DUET_WGMMA_NAMES_5 DUET_WGMMA_NAMES_4 ",%32,%33,%34,%35,%36,%37,%38,%39"
#define DUET_WGMMA_NAMES_6 DUET_WGMMA_NAMES_5 ",%40,%41,%42,%43,%44,%45,%46,%47"
#define DUET_WGMMA_NAMES_7 DUET_WGMMA_NAMES_6 ",%48,%49,%50,%51,%52,%53,%54,%55"
#define DUET_WGMMA_NAMES_8 DUET_WGMMA_NAMES_7 ",%56,%57,%58,%59,%60,%61,%62,%63"
#define DUET_WGMMA_NAMES_9 DUET_WGMMA_NAMES_8 ",%64,%65,%66,%67,%68,%69,%70,%71"
#define DUET_WGMMA_NAMES_10 DUET_WGMMA_NAMES_9 ",%72,%73,%74,%75,%76,%77,%78,%79"
#define DUET_WGMMA_NAMES_11 DUET_WGMMA_NAMES_10 ",%80,%81,%82,%83,%84,%85,%86,%87"
#define DUET_WGMMA_NAMES_12 DUET_WGMMA_NAMES_11 ",%88,%89,%90,%91,%92,%93,%94,%95"
#define DUET_WGMMA_NAMES_13 DUET_WGMMA_NAMES_12 ",%96,%97,%98,%99,%100,%101,%102,%103"
#define DUET_WGMMA_NAMES_14 DUET_WGMMA_NAMES_13 ",%104,%105,%106,%107,%108,%109,%110,%111"
#define DUET_WGMMA_NAMES_15 DUET_WGMMA_NAMES_14 ",%112,%113,%114,%115,%116,%117,%118,%119"
#define DUET_WGMMA_NAMES_16 DUET_WGMMA_NAMES_15 ",%120,%121,%122,%123,%124,%125,%126,%127"
#define DUET_WGMMA_C4(i) "+f"(c[i][0]), "+f"(c[i][1]), "+f"(c[i][2]), "+f"(c[i][3])
#define DUET_WGMMA_C_1 DUET_WGMMA_C4(0), DUET_WGMMA_C4(1)
#define DUET_WGMMA_C_2 DUET_WGMMA_C_1, DUET_WGMMA_C4(2), DUET_WGMMA_C4(3)
#define DUET_WGMMA_C_3 DUET_WGMMA_C_2, DUET_WGMMA_C4(4), DUET_WGMMA_C4(5)
#define DUET_WGMMA_C_4 DUET_WGMMA_C_3, DUET_WGMMA_C4(6), DUET_WGMMA_C4(7)
#define DUET_WGMMA_C_5 DUET_WGMMA_C_4, DUET_WGMMA_C4(8), DUET_WGMMA_C4(9)
#define DUET_WGMMA_C_6 DUET_WGMMA_C_5, DUET_WGMMA_C4(10), DUET_WGMMA_C4(11)
#define DUET_WGMMA_C_7 DUET_WGMMA_C_6, DUET_WGMMA_C4(12), DUET_WGMMA_C4(13)
#define DUET_WGMMA_C_8 DUET_WGMMA_C_7, DUET_WGMMA_C4(14), DUET_WGMMA_C4(15)
#define DUET_WGMMA_C_9 DUET_WGMMA_C_8, DUET_WGMMA_C4(16), DUET_WGMMA_C4(17)
#define DUET_WGMMA_C_10 DUET_WGMMA_C_9, DUET_WGMMA_C4(18), DUET_WGMMA_C4(19)
#define DUET_WGMMA_C_11 DUET_WGMMA_C_10, DUET_WGMMA_C4(20), DUET_WGMMA_C4(21)
#define DUET_WGMMA_C_12 DUET_WGMMA_C_11, DUET_WGMMA_C4(22), DUET_WGMMA_C4(23)
#define DUET_WGMMA_C_13 DUET_WGMMA_C_12, DUET_WGMMA_C4(24), DUET_WGMMA_C4(25)
#define DUET_WGMMA_C_14 DUET_WGMMA_C_13, DUET_WGMMA_C4(26), DUET_WGMMA_C4(27)
#define DUET_WGMMA_C_15 DUET_WGMMA_C_14, DUET_WGMMA_C4(28), DUET_WGMMA_C4(29)
#define DUET_WGMMA_C_16 DUET_WGMMA_C_15, DUET_WGMMA_C4(30), DUET_WGMMA_C4(31)
#define DUET_WGMMA(dtype, columns, set, a_name, b_name, add_name)                                                       \
  template <>                                                                                                           \
  struct Wgmma<Dtype::dtype, columns> {                                                                                 \
    static DUET_DEVICE void add(float (&c)[(columns) / 8][4], u64 a, u64 b) {                                           \
      asm volatile("{\n\t.reg .pred p;\n\tsetp.ne.b32 p, " add_name ", 0;\n\t"                                          \
                   "wgmma.mma_async.sync.aligned.m64n" #columns "k16.f32." #dtype "." #dtype                            \
                   " {" DUET_WGMMA_NAMES_##set "}, " a_name ", " b_name ", p, 1, 1, 0, 0;\n\t}"                         \
                   : DUET_WGMMA_C_##set                                                                                 \
                   : "l"(a), "l"(b), "r"(1));                                                                           \
    }                                                                                                                   \
  };
#define DUET_WGMMA_BOTH(...) DUET_WGMMA(f16, __VA_ARGS__) DUET_WGMMA(bf16, __VA_ARGS__)
// clang-format on

DUET_WGMMA_BOTH(16, 1, "%8", "%9", "%10")
DUET_WGMMA_BOTH(32, 2, "%16", "%17", "%18")
DUET_WGMMA_BOTH(48, 3, "%24", "%25", "%26")
DUET_WGMMA_BOTH(64, 4, "%32", "%33", "%34")
DUET_WGMMA_BOTH(80, 5, "%40", "%41", "%42")
DUET_WGMMA_BOTH(96, 6, "%48", "%49", "%50")
DUET_WGMMA_BOTH(112, 7, "%56", "%57", "%58")
DUET_WGMMA_BOTH(128, 8, "%64", "%65", "%66")
DUET_WGMMA_BOTH(144, 9, "%72", "%73", "%74")
DUET_WGMMA_BOTH(160, 10, "%80", "%81", "%82")
DUET_WGMMA_BOTH(176, 11, "%88", "%89", "%90")
DUET_WGMMA_BOTH(192, 12, "%96", "%97", "%98")
DUET_WGMMA_BOTH(208, 13, "%104", "%105", "%106")
DUET_WGMMA_BOTH(224, 14, "%112", "%113", "%114")
DUET_WGMMA_BOTH(240, 15, "%120", "%121", "%122")
DUET_WGMMA_BOTH(256, 16, "%128", "%129", "%130")
#undef DUET_WGMMA_BOTH
#undef DUET_WGMMA
#else
constexpr bool kHasWgmma = false;
#endif

}  // namespace duet
#endif
