// Two kernels in one launch: the blocks of the first come first, then those of the second. Neither knows of the other,
// and each keeps its own parameters, tiles and threads; a block has the threads and the shared memory of the larger.
#pragma once

#include "templates/device/types.h"

namespace duet {

// Parameters begin where a tensor map may: at multiples of 64 bytes.
constexpr int kPairAlignment = 64;

template <class First, class Second>
struct alignas(kPairAlignment) PairParams {
  Grid3 first_grid, second_grid;
  alignas(kPairAlignment) First first;
  alignas(kPairAlignment) Second second;
};

// Where the parts of a PairParams lie, by the sizes of its parts.
constexpr int pair_first_offset() { return kPairAlignment; }
constexpr int pair_second_offset(int first_bytes) {
  return pair_first_offset() + round_up(first_bytes, kPairAlignment);
}
constexpr int pair_bytes(int first_bytes, int second_bytes) {
  return pair_second_offset(first_bytes) + round_up(second_bytes, kPairAlignment);
}
constexpr int pair_larger(int a, int b) { return a > b ? a : b; }

}  // namespace duet
