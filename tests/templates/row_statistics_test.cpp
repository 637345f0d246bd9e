// The two ways of summing rows for a layer norm, run by the emulator on one tile: what the tensor cores add up equals
// what scalar instructions do. Kernels with the first are for sm_90 alone and run nowhere else.
#include "templates/common/row_statistics.cuh"

#include "templates/common/tile.cuh"
#include "tests/templates/matrix16.h"

namespace duet {

struct RowSumsParams {
  const void* a;  // (32, 64)
  float* sums;    // (2 ways, warps_n, 32 rows, 2)
};

template <Dtype kElement, int kColumnsOfWarps>
struct RowSumsShape {
  static constexpr Dtype kDtype = kElement;
  static constexpr int kM = 2, kWarpsN = kColumnsOfWarps, kRows = 32, kColumns = 64, kThreads = 32 * kWarpsN;
};

template <class Shape, class Sums>
DUET_DEVICE void write_sums(SmemAddr tile, float* sums) {
  const int lane = thread_index() % 32, warp = thread_index() / 32;
  Sums rows;
  for (int step = 0; step < Shape::kColumns / kMmaK; ++step) {
    u32 a[Shape::kM][4];
    load_a<Shape::kM, Shape::kColumns / kChunkElements>(a, tile, 0, step, lane);
    rows.add(a, step, warp);
  }
  for (int i = 0; i < Shape::kM * 2; ++i) {
    const RowSums total = rows.total(i / 2, i % 2, lane);
    if (!rows.holds(lane)) continue;
    const int at = (warp * Shape::kRows + i * 8 + lane / 4) * 2;
    sums[at] = total.sum;
    sums[at + 1] = total.sum_squares;
  }
}

template <class Shape>
DUET_DEVICE void write_both(const RowSumsParams& params) {
  const MatrixView view{static_cast<const u16*>(params.a), Shape::kColumns, Shape::kRows, Shape::kColumns};
  load_tile<Shape::kRows, Shape::kColumns / kChunkElements, Shape::kThreads>(smem_base(), view, 0, 0);
  cp_async_commit();
  cp_async_wait<0>();
  sync_block<Shape::kThreads>();
  write_sums<Shape, ScalarRowSums<Shape>>(smem_base(), params.sums);
  write_sums<Shape, ProductRowSums<Shape>>(smem_base(), params.sums + Shape::kWarpsN * Shape::kRows * 2);
}

using RowSumsF16 = RowSumsShape<Dtype::f16, 1>;
using RowSumsBf16 = RowSumsShape<Dtype::bf16, 3>;
DUET_KERNEL(row_sums_f16, RowSumsParams, RowSumsF16::kThreads, 1) { write_both<RowSumsF16>(params); }
DUET_KERNEL(row_sums_bf16, RowSumsParams, RowSumsBf16::kThreads, 1) { write_both<RowSumsBf16>(params); }

namespace {

template <class Shape>
void check(emulator::KernelEntry entry) {
  testing::Matrix16 a(Shape::kDtype, Shape::kRows, Shape::kColumns);
  a.fill_normal(1, 0.5f, 2.0f);
  const std::size_t way = static_cast<std::size_t>(Shape::kWarpsN) * Shape::kRows * 2;
  std::vector<float> sums(2 * way, NAN);
  const RowSumsParams params{.a = a.data(), .sums = sums.data()};
  const emulator::LaunchOutcome outcome =
      emulator::run_grid({.entry = entry,
                          .params = &params,
                          .grid = {1, 1, 1},
                          .threads = Shape::kThreads,
                          .smem_bytes = Shape::kRows * Shape::kColumns * 2,
                          .variant = {}});
  ASSERT_TRUE(outcome.ok()) << emulator::to_string(*outcome.fault);
  const std::vector<float> values = a.floats();
  for (std::size_t row = 0; row < Shape::kRows; ++row) {
    double expected[2] = {0, 0};
    for (std::size_t k = 0; k < Shape::kColumns; ++k) {
      const double value = values[row * static_cast<std::size_t>(a.ld()) + k];
      expected[0] += value;
      expected[1] += value * value;
    }
    for (std::size_t which = 0; which < 4; ++which) {  // (way, moment)
      double sum = 0;
      for (std::size_t warp = 0; warp < Shape::kWarpsN; ++warp)
        sum += sums[which / 2 * way + (warp * Shape::kRows + row) * 2 + which % 2];
      EXPECT_NEAR(sum, expected[which % 2], 1e-4 * expected[1]) << "row " << row << ", " << which;
    }
  }
}

TEST(RowSums, ByScalarsAndByProductsOfF16) { check<RowSumsF16>(&row_sums_f16); }
TEST(RowSums, ByScalarsAndByProductsOfBf16) { check<RowSumsBf16>(&row_sums_bf16); }

}  // namespace
}  // namespace duet
