// Tiles by the tensor memory accelerator and warpgroup products: a ring of two slots that is right passes in every
// variant, and each planted defect is named.
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <set>
#include <vector>

#include "emulator/launch.h"
#include "templates/device/tma.cuh"
#include "templates/device/wgmma.cuh"

namespace duet {
namespace {

using emulator::FaultKind;
using emulator::RunVariant;

enum class RingDefect { none, not_awaited, not_given_back, given_back_early, never_initialised, too_many_arrivals };

constexpr int kTiles = 5, kRows = 64, kColumns = 16;

struct RingParams {
  alignas(64) unsigned char map_a[128];  // (64, 64 kTiles)
  alignas(64) unsigned char map_b[128];  // (16, 64 kTiles)
  float* c;                              // (64, 16)
};

// One warpgroup multiplies, a fifth warp asks for tiles.
template <RingDefect kDefect>
DUET_DEVICE void ring(const RingParams& params) {
  constexpr int kTileA = kRows * 128, kTileB = kColumns * 128, kSlot = kTileA + kTileB;
  const auto slot = [](int tile) { return smem_base() + static_cast<u32>(tile % 2 * kSlot); };
  const auto full = [](int tile) { return smem_base() + static_cast<u32>(2 * kSlot + tile % 2 * 8); };
  const auto empty = [&](int tile) { return full(tile) + 16; };
  const int warp = thread_index() / 32, lane = thread_index() % 32;
  if (thread_index() == 0) {
    for (int i = 0; i < 2; ++i) {
      if (kDefect != RingDefect::never_initialised || i == 0) mbarrier_init(full(i), 1);
      mbarrier_init(empty(i), 4);
    }
  }
  sync_block<160>();
  if (warp == 4) {
    for (int tile = 0; lane == 0 && tile < kTiles; ++tile) {
      if (kDefect != RingDefect::not_given_back && tile >= 2)
        mbarrier_wait(empty(tile), static_cast<u32>(tile / 2 - 1) % 2);
      mbarrier_arrive_expect(full(tile), kSlot);
      tma_load(slot(tile), params.map_a, 0, tile * 64, full(tile));
      tma_load(slot(tile) + kTileA, params.map_b, 0, tile * 64, full(tile));
    }
    return;
  }
  float c[kColumns / 8][4] = {};
  for (int tile = 0; tile < kTiles; ++tile) {
    if (kDefect != RingDefect::not_awaited) mbarrier_wait(full(tile), static_cast<u32>(tile) / 2 % 2);
    wgmma_fence();
    for (u32 k = 0; k < 4; ++k)
      Wgmma<Dtype::f16, kColumns>::add(c, wgmma_operand(wgmma_place(slot(tile)) + kWgmmaNextK * k),
                                       wgmma_operand(wgmma_place(slot(tile) + kTileA) + kWgmmaNextK * k));
    wgmma_commit();
    if (kDefect != RingDefect::given_back_early) wgmma_wait<0>();
    sync_warp();
    if (lane == 0) mbarrier_arrive(empty(tile));
    if (kDefect == RingDefect::too_many_arrivals && lane == 1) mbarrier_arrive(empty(tile));
    wgmma_wait<0>();
  }
  for (int j = 0; j < kColumns / 8; ++j)
    for (int e = 0; e < 4; ++e)
      params.c[(warp * 16 + lane / 4 + e / 2 * 8) * kColumns + j * 8 + lane % 4 * 2 + e % 2] = c[j][e];
}

#define RING(name) \
  DUET_KERNEL(ring_##name, RingParams, 160, 1) { ring<RingDefect::name>(params); }
RING(none)
RING(not_awaited)
RING(not_given_back)
RING(given_back_early)
RING(never_initialised)
RING(too_many_arrivals)

// Small whole numbers, so that every order of additions gives the same sums.
struct RingProblem {
  std::vector<u16> a, b;
  std::vector<float> c;
  RingParams params{};

  RingProblem() : a(kRows * 64 * kTiles), b(kColumns * 64 * kTiles), c(kRows * kColumns) {
    for (std::size_t i = 0; i < a.size(); ++i) a[i] = host::float_to_half(static_cast<float>(i * 7 % 5) - 2);
    for (std::size_t i = 0; i < b.size(); ++i) b[i] = host::float_to_half(static_cast<float>(i * 11 % 7) - 3);
    set_map(params.map_a, a, kRows);
    set_map(params.map_b, b, kColumns);
    params.c = c.data();
  }

  static void set_map(unsigned char (&map)[128], const std::vector<u16>& matrix, int rows) {
    const host::TiledMatrix tiled{matrix.data(), rows, 64 * kTiles, 64 * kTiles, rows};
    std::memcpy(map, &tiled, sizeof tiled);
  }

  float reference(int row, int column) const {
    float sum = 0;
    for (int k = 0; k < 64 * kTiles; ++k)
      sum += host::half_to_float(a[static_cast<std::size_t>(row * 64 * kTiles + k)]) *
             host::half_to_float(b[static_cast<std::size_t>(column * 64 * kTiles + k)]);
    return sum;
  }

  emulator::LaunchRequest request(emulator::KernelEntry entry, const RunVariant& variant) const {
    return {.entry = entry,
            .params = &params,
            .grid = {1, 1, 1},
            .threads = 160,
            .smem_bytes = 2 * (kRows + kColumns) * 128 + 32,
            .variant = variant};
  }
};

TEST(AsyncTiles, ARingOfTwoSlotsPassesInEveryVariant) {
  for (const RunVariant& variant : emulator::standard_variants()) {
    RingProblem problem;
    const emulator::LaunchOutcome outcome = run_grid(problem.request(&ring_none, variant));
    ASSERT_TRUE(outcome.ok()) << to_string(*outcome.fault) << " in " << to_string(variant);
    for (int row = 0; row < kRows; ++row)
      for (int column = 0; column < kColumns; ++column)
        ASSERT_EQ(problem.c[static_cast<std::size_t>(row * kColumns + column)], problem.reference(row, column))
            << row << ", " << column << " in " << to_string(variant);
  }
}

void expect_ring_fault(emulator::KernelEntry entry, const std::set<FaultKind>& expected, const std::string& said = "") {
  for (const RunVariant& variant : emulator::standard_variants()) {
    const RingProblem problem;
    const emulator::LaunchOutcome outcome = run_grid(problem.request(entry, variant));
    ASSERT_FALSE(outcome.ok()) << to_string(variant);
    EXPECT_TRUE(expected.contains(outcome.fault->kind)) << to_string(*outcome.fault) << " in " << to_string(variant);
    EXPECT_NE(to_string(*outcome.fault).find(said), std::string::npos) << to_string(*outcome.fault);
  }
}

TEST(AsyncTiles, ATileThatIsNotAwaited) {
  expect_ring_fault(&ring_not_awaited,
                    {FaultKind::read_in_flight, FaultKind::read_unwritten, FaultKind::race_read_after_write});
}
TEST(AsyncTiles, ASlotThatIsNotGivenBack) {
  expect_ring_fault(&ring_not_given_back, {FaultKind::bad_barrier}, "more than the 1 arrivals of a phase");
}
// Where products are computed as soon as they are asked for there is nothing to see.
TEST(AsyncTiles, ASlotThatIsGivenBackBeforeItsProductsAreDone) {
  for (const RunVariant& variant : emulator::standard_variants()) {
    const RingProblem problem;
    const emulator::LaunchOutcome outcome = run_grid(problem.request(&ring_given_back_early, variant));
    if (variant.landing == emulator::CopyLanding::at_issue) {
      EXPECT_TRUE(outcome.ok()) << to_string(*outcome.fault) << " in " << to_string(variant);
    } else {
      ASSERT_FALSE(outcome.ok()) << to_string(variant);
      EXPECT_TRUE(outcome.fault->kind == FaultKind::race_write_after_read ||
                  outcome.fault->kind == FaultKind::read_in_flight ||
                  outcome.fault->kind == FaultKind::race_read_after_write)
          << to_string(*outcome.fault) << " in " << to_string(variant);
    }
  }
}
TEST(AsyncTiles, ABarrierThatWasNeverInitialised) {
  expect_ring_fault(&ring_never_initialised, {FaultKind::bad_barrier, FaultKind::read_unwritten});
}
TEST(AsyncTiles, MoreArrivalsThanABarrierWasMadeFor) {
  expect_ring_fault(&ring_too_many_arrivals,
                    {FaultKind::bad_barrier, FaultKind::deadlock, FaultKind::race_write_after_read});
}

}  // namespace
}  // namespace duet
