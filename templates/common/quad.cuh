// Four neighbouring lanes, a quad, hold a row of a C fragment in pairs of columns; memory wants whole chunks of eight.
#pragma once

#include "templates/device/intrinsics.cuh"

namespace duet {

// Exchanges a with b of the lane whose number differs in `mask`: lanes without that bit give b and keep a.
DUET_DEVICE void exchange(u32& a, u32& b, int lane, int mask) {
  const bool upper = (lane & mask) != 0;
  const u32 got = shuffle_xor(upper ? a : b, mask);
  a = upper ? got : a;
  b = upper ? b : got;
}

// Word k of lane q becomes word q of lane k, within every quad. By all lanes; its own inverse.
DUET_DEVICE void transpose_quad(u32 (&words)[4], int lane) {
  exchange(words[0], words[1], lane, 1);
  exchange(words[2], words[3], lane, 1);
  exchange(words[0], words[2], lane, 2);
  exchange(words[1], words[3], lane, 2);
}

// Adds up four numbers over every quad: lane q gets the sum of number q. By all lanes.
DUET_DEVICE float sum_over_quad(const float (&numbers)[4], int lane) {
  const bool odd = (lane & 1) != 0, upper = (lane & 2) != 0;
  float pairs[2];
  DUET_UNROLL
  for (int i = 0; i < 2; ++i) {
    const float kept = odd ? numbers[2 * i + 1] : numbers[2 * i];
    pairs[i] = kept + shuffle_xor(odd ? numbers[2 * i] : numbers[2 * i + 1], 1);
  }
  return (upper ? pairs[1] : pairs[0]) + shuffle_xor(upper ? pairs[0] : pairs[1], 2);
}

}  // namespace duet
