// Mean and 1/standard deviation of the rows of A, for a layer norm folded into the GEMM: from the fragments that pass
// through registers anyway, or from what the kernel that wrote A has left. Everything is fp32 and added in a fixed
// order.
#pragma once

#include "templates/common/gemm_block.cuh"
#include "templates/common/row_products.cuh"
#include "templates/common/row_sums.cuh"

namespace duet {

// A warp's sums of its rows, added up by scalar instructions.
//
// The warps of one row of the arrangement hold the same fragments of A and share the work: two of them take the lower
// and the upper half of a k step, and such pairs (or, of an odd number, single warps) take k steps in turn. A branch
// would not do for the halves: ptxas turns it into predicates, which cost their issue slots whether they hold or not.
template <class Shape>
class ScalarRowSums {
  static constexpr bool kHalves = Shape::kWarpsN % 2 == 0;
  static constexpr int kTurns = kHalves ? Shape::kWarpsN / 2 : Shape::kWarpsN;

 public:
  DUET_DEVICE ScalarRowSums() {
    DUET_UNROLL
    for (int i = 0; i < Shape::kM * 2; ++i) sums_[i] = RowSums{0.0f, 0.0f};
  }

  // Of one k step, the step-th of all.
  DUET_DEVICE void add(const u32 (&a)[Shape::kM][4], int step, int warp_n) {
    if (step % kTurns != warp_n % kTurns) return;
    const bool upper = kHalves && warp_n / kTurns != 0;
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

  // Of row 16 i + 8 half + lane / 4, in the lanes that `holds` names. By all lanes.
  DUET_DEVICE RowSums total(int i, int half, int) const { return row_sums_of_quad(sums_[2 * i + half]); }
  static DUET_DEVICE bool holds(int lane) { return lane % 4 == 0; }

 private:
  static DUET_DEVICE void add_pair(RowSums& sums, u32 pair) {
    const float low = to_float<Shape::kDtype>(static_cast<u16>(pair));
    const float high = to_float<Shape::kDtype>(static_cast<u16>(pair >> 16));
    sums.sum += low + high;
    sums.sum_squares = fused_multiply_add(low, low, fused_multiply_add(high, high, sums.sum_squares));
  }

  RowSums sums_[Shape::kM * 2];  // rows 8i + lane / 4 of the warp's part
};

// The same by tensor cores (RowProducts). Where these wait for the other instructions (sm_90: their rate is four times
// sm_87's) this is the faster way.
template <class Shape>
class ProductRowSums {
 public:
  DUET_DEVICE void add(const u32 (&a)[Shape::kM][4], int step, int warp_n) {
    if (step % Shape::kWarpsN != warp_n) return;
    DUET_UNROLL
    for (int i = 0; i < Shape::kM; ++i) products_[i].add(a[i]);
  }

  DUET_DEVICE RowSums total(int i, int half, int lane) const { return products_[i].total(half, lane); }
  static DUET_DEVICE bool holds(int lane) { return RowProducts<Shape::kDtype>::holds(lane); }

 private:
  RowProducts<Shape::kDtype> products_[Shape::kM];
};

template <class Shape, bool kByProducts>
struct RowSumsBy {
  using Type = ScalarRowSums<Shape>;
};
template <class Shape>
struct RowSumsBy<Shape, true> {
  using Type = ProductRowSums<Shape>;
};

struct RowNorm {
  float mean;
  float rstd;
};

// Of a row's sums over all of k. The variance is a difference of rounded numbers: it may come out below zero for a
// constant row.
DUET_DEVICE RowNorm row_norm(RowSums sums, int k, float epsilon) {
  const float scale = 1.0f / static_cast<float>(k);
  const float mean = sums.sum * scale;
  const float variance = max_f32(sums.sum_squares * scale - mean * mean, 0.0f);
  return RowNorm{mean, rsqrt_approx(variance + epsilon)};
}

// The same for C = act( rstd acc + (shift fold_sum + bias) ): (rstd, shift).
DUET_DEVICE Vec8 scale_and_shift(const GemmParams& params, RowSums sums) {
  const RowNorm norm = row_norm(sums, params.k, params.layer_norm_epsilon);
  return Vec8{{float_to_bits(norm.rstd), float_to_bits(-norm.mean * norm.rstd)}};
}

// What a thread has asked for of the sums that were left for it: of one row of the tile, every kParts-th tile of
// columns. The loads are on their way while the products run. All threads together cover the rows; where there are more
// rows than threads, each has several.
template <class Shape>
class GivenRowSums {
  static constexpr int kParts = Shape::kConfig.statistics_parts();
  static constexpr int kAtOnce = Shape::kConfig.given_row_sums();
  static constexpr int kRows = Shape::kConfig.given_rows();

 public:
  DUET_DEVICE GivenRowSums(const GemmParams& params, const GemmPlace& place) : params_(params), place_(place) {}

  // When the kernel before has ended.
  DUET_DEVICE void ask() {
    if constexpr (Shape::kOp.reads_row_sums) {
      DUET_UNROLL
      for (int r = 0; r < kRows; ++r) load(r, 0);
    }
  }

  // After the main loop: calls store(part, row, sums) for all that are this thread's.
  template <class Store>
  DUET_DEVICE void collect(const Store& store) {
    DUET_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const int at = place_of(r);
      if (at >= kParts * Shape::kBlockM) return;
      RowSums sums{0.0f, 0.0f};
      for (int batch = 0; batch < params_.row_sum_tiles; batch += kAtOnce * kParts) {
        if (batch > 0) load(r, batch);
        DUET_UNROLL
        for (int i = 0; i < kAtOnce; ++i) sums = add_row_sums(sums, row_sums_of(asked_[r][i]));
      }
      store(at / Shape::kBlockM, at % Shape::kBlockM, sums);
    }
  }

 private:
  // Among all (part, row).
  static DUET_DEVICE int place_of(int r) { return r * Shape::kThreads + thread_index(); }

  // Of the tiles from `batch` on; zeros where there is none.
  DUET_DEVICE void load(int r, int batch) {
    const int row = place_.row0 + place_of(r) % Shape::kBlockM, part = place_of(r) / Shape::kBlockM;
    DUET_UNROLL
    for (int i = 0; i < kAtOnce; ++i) {
      const int tile = batch + i * kParts + part;
      asked_[r][i] = Vec8{};
      if (part < kParts && tile < params_.row_sum_tiles && row < params_.m)
        asked_[r][i] = ld_global_coherent_vec8(params_.row_sums_in + 2 * (static_cast<i64>(tile) * params_.m + row));
    }
  }

  const GemmParams& params_;
  const GemmPlace& place_;
  Vec8 asked_[kRows][kAtOnce];
};

// The sums of the rows of A, by parts: each warp keeps sums of its own, or some threads a row read those that were
// left.
template <class Shape>
class RowStatistics {
  static constexpr int kParts = Shape::kConfig.statistics_parts();

 public:
  DUET_DEVICE RowStatistics(const GemmParams& params, const GemmPlace& place, SmemAddr smem)
      : params_(params), parts_(smem + Shape::kConfig.statistics_offset()), place_(place), given_(params, place) {}

  // Before the main loop, when the kernel before has ended.
  DUET_DEVICE void ask() { given_.ask(); }

  DUET_DEVICE void add(const u32 (&a)[Shape::kM][4], int k_tile, int k_step) {
    if constexpr (Shape::kSumsRows) sums_.add(a, k_tile * Shape::kKSteps + k_step, place_.warp_n);
  }

  // In each turn of a main loop whose products run by themselves: leaves the sums that were asked for, when no slot is
  // waited for any more by who asks for tiles, so that only tiles on their way are kept waiting.
  DUET_DEVICE void take_given(int tile) {
    const int turn = place_.k_tiles - Shape::kStages + 1;
    if (tile == (turn > 0 ? turn : 0)) publish_given();
  }

  // After the main loop: leaves the sums in shared memory; complete after the block's next barrier.
  DUET_DEVICE void publish() {
    if (!Shape::kWgmma || (Shape::kSplits > 1 && place_.k_tiles == 0)) publish_given();  // there was no such turn
    if constexpr (Shape::kSumsRows) {
      DUET_UNROLL
      for (int i = 0; i < Shape::kM * 2; ++i) {
        const RowSums total = sums_.total(i / 2, i % 2, place_.lane);
        const int row = place_.warp_row + i * 8 + place_.lane / 4;
        if (sums_.holds(place_.lane)) parts_.store(place_.warp_k * Shape::kWarpsN + place_.warp_n, row, total);
      }
    }
  }

  DUET_DEVICE RowSums total(int row) const { return parts_.total(row); }

 private:
  DUET_DEVICE void publish_given() {
    if constexpr (Shape::kOp.reads_row_sums) {
      given_.collect([&](int part, int row, RowSums sums) {
        parts_.store(part, row, Shape::kConfig.leaves_norms() ? scale_and_shift(params_, sums) : row_sums_bits(sums));
      });
    }
  }

  const GemmParams& params_;
  SharedRowSums<kParts, Shape::kBlockM> parts_;
  const GemmPlace& place_;
  GivenRowSums<Shape> given_;
  typename RowSumsBy<Shape, Shape::kConfig.statistics_by_products()>::Type sums_;
};

}  // namespace duet
