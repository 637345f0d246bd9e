// Mean and 1/standard deviation of the rows of A, for a layer norm folded into the GEMM, from the fragments that pass
// through registers anyway. Everything is fp32 and added in a fixed order.
#pragma once

#include "templates/common/gemm_block.cuh"

namespace duet {

struct RowSums {
  float sum;
  float sum_squares;
};

// The warps of one row of the arrangement hold the same fragments of A and share the work: two of them take the lower
// and the upper half of a k step, and such pairs (or, of an odd number, single warps) take k steps in turn. A branch
// would not do for the halves: ptxas turns it into predicates, which cost their issue slots whether they hold or not.
// Each warp keeps sums of its own. In shared memory these are (warps_n, block_m) pairs; after `finish` the first
// block_m pairs are (mean, rstd) instead.
template <class Shape>
class RowStatistics {
  static constexpr bool kHalves = Shape::kWarpsN % 2 == 0;
  static constexpr int kTurns = kHalves ? Shape::kWarpsN / 2 : Shape::kWarpsN;

 public:
  DUET_DEVICE RowStatistics(SmemAddr smem, const GemmPlace& place)
      : smem_(smem + Shape::kConfig.statistics_offset()), place_(place) {
    DUET_UNROLL
    for (int i = 0; i < Shape::kM * 2; ++i) sums_[i] = RowSums{0.0f, 0.0f};
  }

  DUET_DEVICE void add(const u32 (&a)[Shape::kM][4], int k_tile, int k_step) {
    if constexpr (Shape::kOp.layer_norm) {
      if ((k_tile * Shape::kKSteps + k_step) % kTurns != place_.warp_n % kTurns) return;
      const bool upper = kHalves && place_.warp_n / kTurns != 0;
      DUET_UNROLL
      for (int i = 0; i < Shape::kM; ++i) {
        DUET_UNROLL
        for (int half = 0; half < 2; ++half) {  // rows 0-7, rows 8-15
          RowSums& sums = sums_[2 * i + half];
          add_pair(sums, upper ? a[i][half + 2] : a[i][half]);
          if constexpr (!kHalves) add_pair(sums, a[i][half + 2]);
        }
      }
    }
  }

  // Leaves the warps' sums in shared memory; complete after the block's next barrier.
  DUET_DEVICE void publish() {
    if constexpr (Shape::kOp.layer_norm) {
      DUET_UNROLL
      for (int i = 0; i < Shape::kM * 2; ++i) {
        const RowSums total = sum_of_quad(sums_[i]);
        const int row = place_.warp_row + i * 8 + place_.lane / 4;
        if (place_.lane % 4 == 0) store((place_.warp_k * Shape::kWarpsN + place_.warp_n) * Shape::kBlockM + row, total);
      }
    }
  }

  // The sums of a row over the warps.
  DUET_DEVICE RowSums total(int row) const {
    RowSums sums{0.0f, 0.0f};
    DUET_UNROLL
    for (int warp = 0; warp < Shape::kWarpsN * Shape::kWarpsK; ++warp) {
      const RowSums part = load(warp * Shape::kBlockM + row);
      sums.sum += part.sum;
      sums.sum_squares += part.sum_squares;
    }
    return sums;
  }

  // Turns a row's sums over all of k into (mean, rstd). The variance is a difference of rounded numbers: it may come
  // out below zero for a constant row.
  DUET_DEVICE void finish(int row, RowSums sums, int k, float epsilon) const {
    const float scale = 1.0f / static_cast<float>(k);
    const float mean = sums.sum * scale;
    const float variance = max_f32(sums.sum_squares * scale - mean * mean, 0.0f);
    store(row, RowSums{mean, rsqrt_approx(variance + epsilon)});
  }

  DUET_DEVICE RowSums load(int index) const {
    const SmemAddr addr = smem_ + static_cast<u32>(index * 8);
    return RowSums{ld_shared_f32(addr), ld_shared_f32(addr + 4)};
  }

 private:
  static DUET_DEVICE void add_pair(RowSums& sums, u32 pair) {
    const float low = to_float<Shape::kDtype>(static_cast<u16>(pair));
    const float high = to_float<Shape::kDtype>(static_cast<u16>(pair >> 16));
    sums.sum += low + high;
    sums.sum_squares = fused_multiply_add(low, low, fused_multiply_add(high, high, sums.sum_squares));
  }

  // Four neighbouring lanes hold one row of a fragment.
  static DUET_DEVICE RowSums sum_of_quad(RowSums sums) {
    DUET_UNROLL
    for (int mask = 1; mask <= 2; mask *= 2) {
      sums.sum += shuffle_xor(sums.sum, mask);
      sums.sum_squares += shuffle_xor(sums.sum_squares, mask);
    }
    return sums;
  }

  DUET_DEVICE void store(int index, RowSums sums) const {
    const SmemAddr addr = smem_ + static_cast<u32>(index * 8);
    st_shared_f32(addr, sums.sum);
    st_shared_f32(addr + 4, sums.sum_squares);
  }

  SmemAddr smem_;
  const GemmPlace& place_;
  RowSums sums_[Shape::kM * 2];  // rows 8i + lane / 4 of the warp's part
};

}  // namespace duet
