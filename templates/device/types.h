// Fixed-width types and element types, shared by the generated kernels and by the host code that describes them.
// No header is included: NVRTC has no <cstdint>, and the emulator compiles faster without one.
#pragma once

namespace duet {

using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;
using i64 = long long;
static_assert(sizeof(u16) == 2 && sizeof(u32) == 4 && sizeof(u64) == 8, "unexpected data model");

// The type of a tensor's elements. The values are stored in plan files: append, never renumber.
enum class Dtype : int { f32 = 0, f16 = 1, bf16 = 2, i32 = 3 };

constexpr int dtype_bytes(Dtype dtype) { return dtype == Dtype::f16 || dtype == Dtype::bf16 ? 2 : 4; }

// The function applied to each element after the bias. `gelu` is the exact one (erf).
enum class Activation : int { none = 0, gelu = 1, gelu_tanh = 2, quick_gelu = 3, silu = 4 };

// What a query may attend to. `padding` reads a 0/1 mask of shape (batch, keys).
enum class AttentionMask : int { none = 0, causal = 1, padding = 2, causal_padding = 3 };

// How a sequence becomes one row. `eot` is the first position that holds the end-of-text token.
enum class PoolKind : int { first = 0, last = 1, eot = 2, mean = 3 };

constexpr int ceil_div(int value, int divisor) { return (value + divisor - 1) / divisor; }
constexpr int round_up(int value, int multiple) { return ceil_div(value, multiple) * multiple; }

// The blocks of a launch.
struct Grid3 {
  int x = 1, y = 1, z = 1;
};

// 16 and 8 bytes moved as one access.
struct alignas(16) Vec16 {
  u32 word[4];
};
struct alignas(8) Vec8 {
  u32 word[2];
};

}  // namespace duet
