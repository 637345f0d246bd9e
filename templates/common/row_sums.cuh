// Sums and sums of squares of rows, from which a layer norm has its mean and deviation, and how they pass between
// threads and kernels. Everything is fp32 and added in a fixed order.
#pragma once

#include "templates/device/intrinsics.cuh"

namespace duet {

struct RowSums {
  float sum;
  float sum_squares;
};

DUET_DEVICE RowSums add_row_sums(RowSums a, RowSums b) { return RowSums{a.sum + b.sum, a.sum_squares + b.sum_squares}; }

DUET_DEVICE Vec8 row_sums_bits(RowSums sums) {
  return Vec8{{float_to_bits(sums.sum), float_to_bits(sums.sum_squares)}};
}
DUET_DEVICE RowSums row_sums_of(Vec8 bits) { return RowSums{bits_to_float(bits.word[0]), bits_to_float(bits.word[1])}; }

// A pair in global memory; the load sees what other SMs wrote.
DUET_DEVICE RowSums load_row_sums(const float* pair) { return row_sums_of(ld_global_coherent_vec8(pair)); }
DUET_DEVICE void store_row_sums(float* pair, RowSums sums) { st_global_vec8(pair, row_sums_bits(sums)); }

// Of four neighbouring lanes, which hold one row of a fragment. By all lanes.
DUET_DEVICE RowSums row_sums_of_quad(RowSums sums) {
  DUET_UNROLL
  for (int mask = 1; mask <= 2; mask *= 2) {
    sums.sum += shuffle_xor(sums.sum, mask);
    sums.sum_squares += shuffle_xor(sums.sum_squares, mask);
  }
  return sums;
}

// In shared memory: a pair for each part of a row, (kParts, kRows).
template <int kParts, int kRows>
class SharedRowSums {
 public:
  DUET_DEVICE explicit SharedRowSums(SmemAddr smem) : smem_(smem) {}

  DUET_DEVICE void store(int part, int row, RowSums sums) const { store(part, row, row_sums_bits(sums)); }
  DUET_DEVICE void store(int part, int row, Vec8 pair) const { st_shared_vec8(address(part, row), pair); }
  // One number of a pair: 0, the sum, or 1, the sum of squares.
  DUET_DEVICE void store_number(int part, int row, int number, float value) const {
    st_shared_f32(address(part, row) + static_cast<u32>(number * 4), value);
  }
  DUET_DEVICE RowSums total(int row) const {
    RowSums sums{0.0f, 0.0f};
    DUET_UNROLL
    for (int part = 0; part < kParts; ++part)
      sums = add_row_sums(sums, row_sums_of(ld_shared_vec8(address(part, row))));
    return sums;
  }

 private:
  DUET_DEVICE SmemAddr address(int part, int row) const { return smem_ + static_cast<u32>((part * kRows + row) * 8); }

  SmemAddr smem_;
};

}  // namespace duet
