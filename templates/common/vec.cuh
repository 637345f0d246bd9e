// Eight elements at a time: 16-byte accesses in memory, fp32 in registers.
//
// Two rules hold for every matrix, and the functions here keep them:
// - A leading dimension is a multiple of 8, so whole vectors may be read and written up to the end of a row.
// - What lies in the padding is never trusted on reading (keep_first) and always written as zero.
#pragma once

#include "templates/device/intrinsics.cuh"

namespace duet {

constexpr int kVecElements = 8;

struct Float8 {
  float v[kVecElements];
};

DUET_DEVICE int vectors_in(int columns) { return (columns + kVecElements - 1) / kVecElements; }

DUET_DEVICE Float8 splat8(float value) {
  Float8 result;
  DUET_UNROLL
  for (int i = 0; i < kVecElements; ++i) result.v[i] = value;
  return result;
}

// The first `count` elements, and `fill` in the others. The branch is taken for the last vector of a ragged row only.
DUET_DEVICE Float8 keep_first(Float8 x, int count, float fill) {
  if (count < kVecElements) {
    DUET_UNROLL
    for (int i = 0; i < kVecElements; ++i) x.v[i] = i < count ? x.v[i] : fill;
  }
  return x;
}

// ---- registers to and from memory format
template <Dtype kDtype>
DUET_DEVICE Float8 unpack8(Vec16 bits) {
  static_assert(kDtype == Dtype::f16 || kDtype == Dtype::bf16, "16 bytes hold eight 16-bit elements");
  Float8 result;
  DUET_UNROLL
  for (int i = 0; i < 4; ++i) {
    result.v[2 * i] = to_float<kDtype>(static_cast<u16>(bits.word[i]));
    result.v[2 * i + 1] = to_float<kDtype>(static_cast<u16>(bits.word[i] >> 16));
  }
  return result;
}

template <Dtype kDtype>
DUET_DEVICE Vec16 pack8(const Float8& x) {
  static_assert(kDtype == Dtype::f16 || kDtype == Dtype::bf16, "16 bytes hold eight 16-bit elements");
  Vec16 bits;
  DUET_UNROLL
  for (int i = 0; i < 4; ++i) bits.word[i] = pack2<kDtype>(x.v[2 * i], x.v[2 * i + 1]);
  return bits;
}

DUET_DEVICE Float8 join8(Vec16 low, Vec16 high) {
  Float8 result;
  DUET_UNROLL
  for (int i = 0; i < 4; ++i) {
    result.v[i] = bits_to_float(low.word[i]);
    result.v[i + 4] = bits_to_float(high.word[i]);
  }
  return result;
}

DUET_DEVICE Vec16 half8(const Float8& x, int first) {  // elements first .. first + 3
  Vec16 bits;
  DUET_UNROLL
  for (int i = 0; i < 4; ++i) bits.word[i] = float_to_bits(x.v[first + i]);
  return bits;
}

// The two fragments of a group, (row half, column) each, as (row half, side, column): tile_groups.cuh.
DUET_DEVICE Float8 join_sides(Vec16 left, Vec16 right) {
  Float8 result;
  DUET_UNROLL
  for (int half = 0; half < 2; ++half) {
    DUET_UNROLL
    for (int column = 0; column < 2; ++column) {
      result.v[half * 4 + column] = bits_to_float(left.word[half * 2 + column]);
      result.v[half * 4 + 2 + column] = bits_to_float(right.word[half * 2 + column]);
    }
  }
  return result;
}
DUET_DEVICE Vec16 side_of(const Float8& x, int side) {
  Vec16 bits;
  DUET_UNROLL
  for (int e = 0; e < 4; ++e) bits.word[e] = float_to_bits(x.v[e / 2 * 4 + side * 2 + e % 2]);
  return bits;
}

// ---- matrices in global memory; columns are multiples of 8
template <Dtype kDtype>
DUET_DEVICE const unsigned char* address_of(const void* matrix, int row, int ld, int column) {
  constexpr int kBytes = dtype_bytes(kDtype);
  return static_cast<const unsigned char*>(matrix) + (static_cast<i64>(row) * ld + column) * kBytes;
}
template <Dtype kDtype>
DUET_DEVICE unsigned char* address_of(void* matrix, int row, int ld, int column) {
  constexpr int kBytes = dtype_bytes(kDtype);
  return static_cast<unsigned char*>(matrix) + (static_cast<i64>(row) * ld + column) * kBytes;
}

// Reads what no thread writes during the kernel.
template <Dtype kDtype>
DUET_DEVICE Float8 load8(const void* matrix, int row, int ld, int column) {
  const unsigned char* src = address_of<kDtype>(matrix, row, ld, column);
  if constexpr (kDtype == Dtype::f32) {
    return join8(ld_global_vec16(src), ld_global_vec16(src + 16));
  } else {
    return unpack8<kDtype>(ld_global_vec16(src));
  }
}

template <Dtype kDtype>
DUET_DEVICE void store8(void* matrix, int row, int ld, int column, const Float8& x) {
  unsigned char* dst = address_of<kDtype>(matrix, row, ld, column);
  if constexpr (kDtype == Dtype::f32) {
    st_global_vec16(dst, half8(x, 0));
    st_global_vec16(dst + 16, half8(x, 4));
  } else {
    st_global_vec16(dst, pack8<kDtype>(x));
  }
}

template <Dtype kDtype>
DUET_DEVICE void store1(void* matrix, int row, int ld, int column, float x) {
  unsigned char* dst = address_of<kDtype>(matrix, row, ld, column);
  if constexpr (kDtype == Dtype::f32) {
    st_global_u32(dst, float_to_bits(x));
  } else {
    st_global_u16(dst, from_float<kDtype>(x));
  }
}

DUET_DEVICE float load_f32(const float* src) { return bits_to_float(ld_global_u32(src)); }

// Eight elements of an fp32 vector (gamma, beta, bias). It has no padding, so its ragged end is read one by one.
DUET_DEVICE Float8 load8_vector(const float* vector, int column, int columns) {
  if (column + kVecElements <= columns) {
    return join8(ld_global_vec16(vector + column), ld_global_vec16(vector + column + 4));
  }
  Float8 result = splat8(0.0f);
  DUET_UNROLL
  for (int i = 0; i < kVecElements; ++i) {
    if (column + i < columns) result.v[i] = load_f32(vector + column + i);
  }
  return result;
}

// ---- arithmetic; sums in a fixed order
DUET_DEVICE Float8 add8(const Float8& a, const Float8& b) {
  Float8 result;
  DUET_UNROLL
  for (int i = 0; i < kVecElements; ++i) result.v[i] = a.v[i] + b.v[i];
  return result;
}
DUET_DEVICE Float8 scale8(const Float8& x, float factor) {
  Float8 result;
  DUET_UNROLL
  for (int i = 0; i < kVecElements; ++i) result.v[i] = x.v[i] * factor;
  return result;
}
// acc + sum_i a_i b_i
DUET_DEVICE float dot8(const Float8& a, const Float8& b, float acc) {
  DUET_UNROLL
  for (int i = 0; i < kVecElements; ++i) acc = fused_multiply_add(a.v[i], b.v[i], acc);
  return acc;
}
DUET_DEVICE float sum8(const Float8& x) {
  return ((x.v[0] + x.v[1]) + (x.v[2] + x.v[3])) + ((x.v[4] + x.v[5]) + (x.v[6] + x.v[7]));
}
DUET_DEVICE float max8(const Float8& x) {
  float result = x.v[0];
  DUET_UNROLL
  for (int i = 1; i < kVecElements; ++i) result = max_f32(result, x.v[i]);
  return result;
}

// Zeros in every vector of a row from `first_column` on, which is the padding a consumer relies on.
template <Dtype kDtype>
DUET_DEVICE void store_zero_padding(void* matrix, int row, int ld, int first_column, int lane, int lanes) {
  DUET_NO_UNROLL
  for (int column = first_column + lane * kVecElements; column < ld; column += lanes * kVecElements) {
    store8<kDtype>(matrix, row, ld, column, splat8(0.0f));
  }
}

}  // namespace duet
