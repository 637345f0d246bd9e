// Launches in this process: a clean kernel passes in every variant, each planted defect is named.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <set>

#include "tests/emulator/tile_gemm.h"

namespace duet {
namespace {

using emulator::FaultKind;
using emulator::LaunchOutcome;
using emulator::RunVariant;
using emulator::standard_variants;

#define DUET_TEST_GEMM(name, dtype, stages, defect)                   \
  using name##_gemm = TileGemm<Dtype::dtype, stages, Defect::defect>; \
  DUET_KERNEL(name, TileGemmParams, name##_gemm::kThreads, 1) { name##_gemm::run(params); }

DUET_TEST_GEMM(clean_f16, f16, 3, none)
DUET_TEST_GEMM(clean_f16_two_stages, f16, 2, none)
DUET_TEST_GEMM(clean_bf16, bf16, 3, none)
DUET_TEST_GEMM(missing_barrier, f16, 3, missing_barrier)
DUET_TEST_GEMM(missing_wait, f16, 3, missing_wait)
DUET_TEST_GEMM(store_out_of_bounds, f16, 3, store_out_of_bounds)
DUET_TEST_GEMM(stage_never_loaded, f16, 3, stage_never_loaded)
DUET_TEST_GEMM(refill_stage_in_use, f16, 3, refill_stage_in_use)
DUET_TEST_GEMM(refill_after_compute, f16, 3, refill_after_compute)

template <typename Gemm>
void expect_clean(emulator::KernelEntry entry, GemmProblem problem) {
  std::vector<float> first;
  for (const RunVariant& variant : standard_variants()) {
    std::fill(problem.c.begin(), problem.c.end(), std::nanf(""));
    const TileGemmParams params = problem.params();
    emulator::LaunchRequest request = gemm_request<Gemm>(entry, params);
    request.variant = variant;
    const LaunchOutcome outcome = run_grid(request);
    ASSERT_TRUE(outcome.ok()) << to_string(*outcome.fault) << " in " << to_string(variant);
    ASSERT_LT(problem.worst_error(), 1e-3) << to_string(variant);
    if (first.empty()) first = problem.c;
    ASSERT_EQ(first, problem.c) << to_string(variant);
  }
}

TEST(TileGemm, PassesInEveryVariantF16) {
  expect_clean<clean_f16_gemm>(&clean_f16, GemmProblem(77, 136, 264, Dtype::f16));
}
TEST(TileGemm, PassesWithTwoStages) {
  expect_clean<clean_f16_two_stages_gemm>(&clean_f16_two_stages, GemmProblem(64, 64, 96, Dtype::f16));
}
TEST(TileGemm, PassesInEveryVariantBf16) {
  expect_clean<clean_bf16_gemm>(&clean_bf16, GemmProblem(70, 72, 136, Dtype::bf16));
}

// A defect may show under several names, depending on which access the order of the variant brings first.
template <typename Gemm>
void expect_fault(emulator::KernelEntry entry, const std::set<FaultKind>& expected) {
  GemmProblem problem;
  const TileGemmParams params = problem.params();
  emulator::LaunchRequest request = gemm_request<Gemm>(entry, params);
  int caught = 0;
  for (const RunVariant& variant : standard_variants()) {
    request.variant = variant;
    const LaunchOutcome outcome = run_grid(request);
    if (outcome.ok()) continue;
    ++caught;
    EXPECT_TRUE(expected.contains(outcome.fault->kind)) << to_string(*outcome.fault) << " in " << to_string(variant);
    EXPECT_GE(outcome.fault->thread, 0);
    EXPECT_EQ(outcome.fault->warp, outcome.fault->thread / 32);
  }
  EXPECT_EQ(caught, static_cast<int>(standard_variants().size())) << "variants that name the defect";
}

TEST(PlantedDefect, MissingBarrier) {
  // Seen at the reader, or at the writer that comes later.
  expect_fault<missing_barrier_gemm>(&missing_barrier, {FaultKind::race_read_after_write, FaultKind::read_in_flight,
                                                        FaultKind::race_write_after_read, FaultKind::read_unwritten});
}
TEST(PlantedDefect, MissingCopyWait) { expect_fault<missing_wait_gemm>(&missing_wait, {FaultKind::read_in_flight}); }
TEST(PlantedDefect, SharedStoreOutOfBounds) {
  expect_fault<store_out_of_bounds_gemm>(&store_out_of_bounds, {FaultKind::out_of_bounds_shared});
}
TEST(PlantedDefect, ReadOfUnwrittenStage) {
  expect_fault<stage_never_loaded_gemm>(&stage_never_loaded, {FaultKind::read_unwritten});
}
TEST(PlantedDefect, RefillOfTheStageBeingRead) {
  expect_fault<refill_stage_in_use_gemm>(&refill_stage_in_use,
                                         {FaultKind::race_write_after_read, FaultKind::read_in_flight});
}
TEST(PlantedDefect, RefillAfterOwnComputeWithoutBarrier) {
  expect_fault<refill_after_compute_gemm>(&refill_after_compute,
                                          {FaultKind::race_write_after_read, FaultKind::read_in_flight});
}

TEST(Speed, MultiplyAddsPerSecond) {
  GemmProblem problem(256, 256, 512, Dtype::f16);
  const TileGemmParams params = problem.params();
  const std::clock_t start = std::clock();
  const LaunchOutcome outcome = run_grid(gemm_request<clean_f16_gemm>(&clean_f16, params));
  const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome.stats.multiply_adds, 256u * 256u * 512u);
  const double millions = 1e-6 * static_cast<double>(outcome.stats.multiply_adds) / seconds;
  RecordProperty("million_multiply_adds_per_second", static_cast<int>(millions));
  std::printf("%.0f million multiply-adds a second of processor time\n", millions);
}

}  // namespace
}  // namespace duet
