// The rules of a block and a grid, one kernel each: what orders accesses, what does not, and what stops a launch.
#include <gtest/gtest.h>

#include <array>
#include <numeric>
#include <vector>

#include "emulator/launch.h"
#include "emulator/shared_memory.h"
#include "templates/device/intrinsics.cuh"

namespace duet {
namespace {

using emulator::Fault;
using emulator::FaultKind;
using emulator::LaunchOutcome;
using emulator::run_all_variants;
using emulator::run_grid;

// In every variant, since a defect that only some orders show would pass a lucky run.
std::vector<FaultKind> faults_in_all_variants(emulator::LaunchRequest request) {
  std::vector<FaultKind> kinds;
  for (const emulator::RunVariant& variant : emulator::standard_variants()) {
    request.variant = variant;
    const LaunchOutcome outcome = run_grid(request);
    kinds.push_back(outcome.ok() ? FaultKind::none : outcome.fault->kind);
  }
  return kinds;
}

void expect_always(const emulator::LaunchRequest& request, FaultKind expected) {
  for (const FaultKind kind : faults_in_all_variants(request))
    EXPECT_EQ(describe(kind), std::string(describe(expected)));
}

void expect_clean(const emulator::LaunchRequest& request) {
  const LaunchOutcome outcome = run_all_variants(request);
  EXPECT_TRUE(outcome.ok()) << to_string(*outcome.fault);
}

DUET_DEVICE int lane_index() { return thread_index() % 32; }
DUET_DEVICE int warp_index() { return thread_index() / 32; }
DUET_DEVICE SmemAddr word(int index) { return smem_base() + static_cast<u32>(index * 4); }

struct WordsParams {
  u32* words;
};

// ---- order within a block

DUET_KERNEL(write_then_read_other_warp, WordsParams, 64, 1) {
  st_shared_u32(word(thread_index()), 1);
  params.words[thread_index()] = ld_shared_u32(word(thread_index() ^ 32));
}
TEST(SharedMemoryRules, ReadOfAnotherWarpsWriteNeedsABarrier) {
  std::vector<u32> words(64);
  const WordsParams params{words.data()};
  for (const FaultKind kind : faults_in_all_variants(
           {.entry = &write_then_read_other_warp, .params = &params, .threads = 64, .smem_bytes = 256})) {
    EXPECT_TRUE(kind == FaultKind::race_read_after_write || kind == FaultKind::read_unwritten) << describe(kind);
  }
}

DUET_KERNEL(read_then_overwrite, WordsParams, 64, 1) {
  st_shared_u32(word(thread_index()), 1);
  sync_threads();
  params.words[thread_index()] = ld_shared_u32(word(thread_index() ^ 32));
  st_shared_u32(word(thread_index()), 2);
}
TEST(SharedMemoryRules, OverwritingWhatAnotherWarpReadNeedsABarrier) {
  std::vector<u32> words(64);
  const WordsParams params{words.data()};
  for (const FaultKind kind :
       faults_in_all_variants({.entry = &read_then_overwrite, .params = &params, .threads = 64, .smem_bytes = 256})) {
    EXPECT_TRUE(kind == FaultKind::race_write_after_read || kind == FaultKind::race_read_after_write) << describe(kind);
  }
}

DUET_KERNEL(write_same_word, WordsParams, 64, 1) {
  if (lane_index() == 0) st_shared_u32(word(0), 1);
}
TEST(SharedMemoryRules, TwoWarpsWritingOneWordIsARace) {
  const WordsParams params{};
  expect_always({.entry = &write_same_word, .params = &params, .threads = 64, .smem_bytes = 256},
                FaultKind::race_write_after_write);
}

DUET_KERNEL(neighbours_in_one_chunk, WordsParams, 128, 1) {
  if (lane_index() == 0) st_shared_u32(word(warp_index()), static_cast<u32>(warp_index()));
  sync_threads();
  if (thread_index() == 0) params.words[0] = ld_shared_vec16(word(0)).word[3];
}
TEST(SharedMemoryRules, WarpsMayWriteNeighbouringWords) {
  u32 result = 0;
  const WordsParams params{&result};
  expect_clean({.entry = &neighbours_in_one_chunk, .params = &params, .threads = 128, .smem_bytes = 16});
  EXPECT_EQ(result, 3u);
}

DUET_KERNEL(exchange_within_warp, WordsParams, 64, 1) {
  st_shared_u32(word(thread_index()), static_cast<u32>(thread_index()));
  sync_warp();
  params.words[thread_index()] = ld_shared_u32(word(thread_index() ^ 1));
}
TEST(SharedMemoryRules, SyncWarpOrdersAWarp) {
  std::vector<u32> words(64);
  const WordsParams params{words.data()};
  expect_clean({.entry = &exchange_within_warp, .params = &params, .threads = 64, .smem_bytes = 256});
  for (u32 i = 0; i < 64; ++i) EXPECT_EQ(words[i], i ^ 1);
}

struct AddressParams {
  u32 offset;
  int operation;
};
DUET_KERNEL(access_at_offset, AddressParams, 32, 1) {
  if (lane_index() != 0) return;
  const SmemAddr addr = smem_base() + params.offset;
  if (params.operation == 0) st_shared_u32(addr, 1);
  if (params.operation == 1) static_cast<void>(ld_shared_u32(addr));
  if (params.operation == 2) st_shared_vec16(addr, Vec16{});
  if (params.operation == 3) st_shared_u32(params.offset, 1);  // forgets the base
}
TEST(SharedMemoryRules, NamesTheAddress) {
  struct Case {
    AddressParams params;
    FaultKind kind;
  };
  const Case cases[] = {
      {{256, 0}, FaultKind::out_of_bounds_shared}, {{254, 0}, FaultKind::out_of_bounds_shared},
      {{248, 2}, FaultKind::out_of_bounds_shared}, {{2, 0}, FaultKind::misaligned_shared},
      {{8, 2}, FaultKind::misaligned_shared},      {{252, 1}, FaultKind::read_unwritten},
      {{0, 3}, FaultKind::out_of_bounds_shared},   {{0xfffffff0u, 2}, FaultKind::out_of_bounds_shared}};
  for (const Case& c : cases) {
    const LaunchOutcome outcome =
        run_grid({.entry = &access_at_offset, .params = &c.params, .threads = 32, .smem_bytes = 256, .variant = {}});
    ASSERT_FALSE(outcome.ok());
    EXPECT_EQ(outcome.fault->kind, c.kind) << to_string(*outcome.fault);
    EXPECT_EQ(outcome.fault->thread, 0);
    if (c.params.operation != 3) {
      EXPECT_EQ(outcome.fault->address, c.params.offset);
    }
  }
}

// ---- named barriers

// Two producer warps fill a buffer for two consumer warps, over and over: one barrier says full, another empty.
struct PipelineParams {
  u32* sums;
  int rounds;
  int skip_empty;
};
DUET_KERNEL(producer_consumer, PipelineParams, 128, 1) {
  const int slot = thread_index() % 64;
  u32 sum = 0;
  for (int round = 0; round < params.rounds; ++round) {
    if (warp_index() < 2) {
      st_shared_u32(word(slot), static_cast<u32>(round * 64 + slot));
      named_barrier(1, 128);
      if (params.skip_empty == 0) named_barrier(2, 128);
    } else {
      named_barrier(1, 128);
      sum += ld_shared_u32(word(63 - slot));
      if (params.skip_empty == 0) named_barrier(2, 128);
    }
  }
  if (warp_index() >= 2) params.sums[slot] = sum;
}
TEST(NamedBarriers, OrderProducersAndConsumers) {
  std::vector<u32> sums(64);
  const PipelineParams params{sums.data(), 4, 0};
  expect_clean({.entry = &producer_consumer, .params = &params, .threads = 128, .smem_bytes = 256});
  EXPECT_EQ(sums[0], 63u * 4 + 64 * 6);
}
TEST(NamedBarriers, WithoutTheEmptyBarrierTheRefillIsARace) {
  std::vector<u32> sums(64);
  const PipelineParams params{sums.data(), 4, 1};
  for (const FaultKind kind :
       faults_in_all_variants({.entry = &producer_consumer, .params = &params, .threads = 128, .smem_bytes = 256})) {
    EXPECT_TRUE(kind == FaultKind::race_write_after_read || kind == FaultKind::race_read_after_write) << describe(kind);
  }
}

// Each pair of warps has its own barrier; nothing orders the pairs.
struct PairParams {
  u32* words;
  int cross;
};
DUET_KERNEL(pairs, PairParams, 128, 1) {
  const int pair = warp_index() / 2;
  st_shared_u32(word(thread_index()), static_cast<u32>(thread_index()));
  named_barrier(1 + pair, 64);
  const int other = params.cross != 0 ? thread_index() ^ 64 : thread_index() ^ 32;
  params.words[thread_index()] = ld_shared_u32(word(other));
}
TEST(NamedBarriers, OrderTheirParticipantsOnly) {
  std::vector<u32> words(128);
  const PairParams inside{words.data(), 0}, across{words.data(), 1};
  expect_clean({.entry = &pairs, .params = &inside, .threads = 128, .smem_bytes = 512});
  for (u32 i = 0; i < 128; ++i) EXPECT_EQ(words[i], i ^ 32);
  for (const FaultKind kind :
       faults_in_all_variants({.entry = &pairs, .params = &across, .threads = 128, .smem_bytes = 512})) {
    EXPECT_TRUE(kind == FaultKind::race_read_after_write || kind == FaultKind::read_unwritten) << describe(kind);
  }
}

// Knowledge passes on: warp 0 to warp 1 by one barrier, warp 1 to warp 2 by another.
DUET_KERNEL(relay, WordsParams, 96, 1) {
  if (warp_index() == 0) st_shared_u32(word(lane_index()), 5);
  if (warp_index() <= 1) named_barrier(1, 64);
  if (warp_index() >= 1) named_barrier(2, 64);
  if (warp_index() == 2) params.words[lane_index()] = ld_shared_u32(word(31 - lane_index()));
}
TEST(NamedBarriers, AreTransitive) {
  std::vector<u32> words(32);
  const WordsParams params{words.data()};
  expect_clean({.entry = &relay, .params = &params, .threads = 96, .smem_bytes = 128});
  EXPECT_EQ(words, std::vector<u32>(32, 5));
}

struct BarrierParams {
  int id, threads;
};
DUET_KERNEL(any_barrier, BarrierParams, 64, 1) { named_barrier(params.id, params.threads); }
TEST(NamedBarriers, RefuseWhatTheHardwareDoesNot) {
  const BarrierParams cases[] = {{16, 64}, {1, 48}, {1, 128}, {-1, 64}};
  for (const BarrierParams& params : cases) {
    expect_always({.entry = &any_barrier, .params = &params, .threads = 64}, FaultKind::bad_barrier);
  }
}

// ---- what stops a block

DUET_KERNEL(one_thread_skips, WordsParams, 64, 1) {
  if (thread_index() != 7) sync_threads();
}
TEST(Deadlock, AThreadThatSkipsABarrier) {
  const WordsParams params{};
  const emulator::LaunchRequest request{.entry = &one_thread_skips, .params = &params, .threads = 64};
  expect_always(request, FaultKind::deadlock);
  EXPECT_EQ(to_string(*run_grid(request).fault),
            "deadlock, thread 0 (warp 0), block (0, 0, 0): of 64 threads 1 have finished, 63 wait at barrier 0 for 64");
}

DUET_KERNEL(half_a_warp_shuffles, WordsParams, 32, 1) {
  if (lane_index() < 16) static_cast<void>(shuffle(1.0f, 0));
}
TEST(Deadlock, AWarpFunctionThatSomeLanesSkip) {
  const WordsParams params{};
  expect_always({.entry = &half_a_warp_shuffles, .params = &params, .threads = 32}, FaultKind::deadlock);
}

DUET_KERNEL(lanes_diverge, WordsParams, 32, 1) {
  if (lane_index() < 16) {
    sync_warp();
  } else {
    static_cast<void>(shuffle(1.0f, 0));
  }
}
TEST(Divergence, LanesInDifferentWarpFunctions) {
  const WordsParams params{};
  expect_always({.entry = &lanes_diverge, .params = &params, .threads = 32}, FaultKind::divergent_warp);
}

TEST(Launches, AreChecked) {
  const WordsParams params{};
  const emulator::LaunchRequest fine{.entry = &lanes_diverge, .params = &params, .threads = 32};
  std::vector<emulator::LaunchRequest> wrong(4, fine);
  wrong[0].threads = 33;
  wrong[1].entry = nullptr;
  wrong[2].grid = {1, 0, 1};
  wrong[3].smem_bytes = -1;
  for (const auto& request : wrong) EXPECT_EQ(run_grid(request).fault->kind, FaultKind::bad_launch);
}

// ---- between blocks

struct GridBarrierParams {
  u32* counter;
  u32* values;  // one a block
  u32* sums;
  u32 expected;
};
// Every block publishes a value, waits for all, and adds up what the others published.
DUET_KERNEL(grid_barrier, GridBarrierParams, 64, 1) {
  const int blocks = grid_size_x() * grid_size_y();
  const int block = block_index_y() * grid_size_x() + block_index_x();
  if (thread_index() == 0) {
    params.values[block] = static_cast<u32>(block + 1);
    counter_add(params.counter, 1);
    counter_wait(params.counter, params.expected);
  }
  sync_threads();
  u32 sum = 0;
  for (int i = 0; i < blocks; ++i) sum += params.values[i];
  if (thread_index() == 63) params.sums[block] = sum;
}
TEST(GridBarrier, AllBlocksAreResidentTogether) {
  for (const emulator::RunVariant& variant : emulator::standard_variants()) {
    u32 counter = 0;
    std::vector<u32> values(40), sums(40);
    const GridBarrierParams params{&counter, values.data(), sums.data(), 40};
    const LaunchOutcome outcome =
        run_grid({.entry = &grid_barrier, .params = &params, .grid = {10, 4, 1}, .threads = 64, .variant = variant});
    ASSERT_TRUE(outcome.ok()) << to_string(*outcome.fault);
    EXPECT_EQ(outcome.stats.blocks, 40u);
    EXPECT_EQ(sums, std::vector<u32>(40, 820)) << to_string(variant);
  }
}
TEST(GridBarrier, OneTooManyIsADeadlock) {
  u32 counter = 0;
  std::vector<u32> values(4), sums(4);
  const GridBarrierParams params{&counter, values.data(), sums.data(), 5};
  const LaunchOutcome outcome =
      run_grid({.entry = &grid_barrier, .params = &params, .grid = {4, 1, 1}, .threads = 64, .variant = {}});
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.fault->kind, FaultKind::deadlock);
  EXPECT_NE(outcome.fault->detail.find("1 wait for a counter that no block raises"), std::string::npos);
}

TEST(GridBarrier, ManyBlocksAtOnce) {
  u32 counter = 0;
  std::vector<u32> values(600), sums(600);
  const GridBarrierParams params{&counter, values.data(), sums.data(), 600};
  const LaunchOutcome outcome =
      run_grid({.entry = &grid_barrier, .params = &params, .grid = {600, 1, 1}, .threads = 64, .variant = {}});
  ASSERT_TRUE(outcome.ok()) << to_string(*outcome.fault);
  EXPECT_EQ(sums.back(), 600u * 601 / 2);
}

// Split-K's semaphore: each block waits for its turn, so the order of the sum is fixed.
struct TurnParams {
  u32* counter;
  u32* log;
};
DUET_KERNEL(take_turns, TurnParams, 32, 1) {
  const u32 turn = static_cast<u32>(block_index_x());
  if (thread_index() == 0) {
    counter_wait(params.counter, turn);
    params.log[turn] = *params.counter;
    counter_release(params.counter, 1);
  }
  sync_threads();
}
TEST(Semaphore, GivesTurnsInAnyBlockOrder) {
  for (const emulator::RunVariant& variant : emulator::standard_variants()) {
    u32 counter = 0;
    std::vector<u32> log(16), expected(16);
    std::iota(expected.begin(), expected.end(), 0u);
    const TurnParams params{&counter, log.data()};
    const LaunchOutcome outcome =
        run_grid({.entry = &take_turns, .params = &params, .grid = {16, 1, 1}, .threads = 32, .variant = variant});
    ASSERT_TRUE(outcome.ok()) << to_string(*outcome.fault);
    EXPECT_EQ(log, expected);
  }
}

// ---- warp functions

struct ShuffleParams {
  float* xors;
  u32* picks;
  float* sums;
};
DUET_KERNEL(shuffles, ShuffleParams, 64, 1) {
  const int thread = thread_index();
  params.xors[thread] = shuffle_xor(static_cast<float>(thread), 5);
  params.picks[thread] = shuffle(static_cast<u32>(thread), (lane_index() * 3) % 32);
  float sum = static_cast<float>(thread);
  for (int mask = 16; mask > 0; mask /= 2) sum += shuffle_xor(sum, mask);
  params.sums[thread] = sum;
}
TEST(WarpFunctions, Shuffles) {
  std::vector<float> xors(64), sums(64);
  std::vector<u32> picks(64);
  const ShuffleParams params{xors.data(), picks.data(), sums.data()};
  expect_clean({.entry = &shuffles, .params = &params, .threads = 64});
  for (int i = 0; i < 64; ++i) {
    const auto at = static_cast<std::size_t>(i);
    EXPECT_EQ(xors[at], static_cast<float>(i ^ 5));
    EXPECT_EQ(picks[at], static_cast<u32>(i / 32 * 32 + i % 32 * 3 % 32));
    EXPECT_EQ(sums[at], i < 32 ? 496.0f : 1520.0f);
  }
}

struct LdmatrixParams {
  u32* plain;              // (32 lanes, 4)
  u32* transposed;         // (32 lanes, 4)
  u32* plain_stored;       // (32 rows, 4)
  u32* transposed_stored;  // (32 rows, 4)
};
// Element (row, column) of matrix m is 64m + 8 row + column. What was loaded is put back by the stmatrix of its kind.
DUET_KERNEL(ldmatrix_both, LdmatrixParams, 32, 1) {
  const int lane = lane_index();
  Vec16 row;
  for (u32 i = 0; i < 4; ++i)
    row.word[i] = static_cast<u32>(8 * lane) + 2 * i + ((static_cast<u32>(8 * lane) + 2 * i + 1) << 16);
  st_shared_vec16(word(4 * lane), row);
  sync_warp();
  u32 r[4];
  ldmatrix_x4(r, word(4 * lane));
  for (int i = 0; i < 4; ++i) params.plain[4 * lane + i] = r[i];
  stmatrix_x4(word(128 + 4 * lane), r);
  ldmatrix_x4_trans(r, word(4 * lane));
  for (int i = 0; i < 4; ++i) params.transposed[4 * lane + i] = r[i];
  stmatrix_x4_trans(word(256 + 4 * lane), r);
  sync_warp();
  for (int i = 0; i < 4; ++i) params.plain_stored[4 * lane + i] = ld_shared_u32(word(128 + 4 * lane + i));
  for (int i = 0; i < 4; ++i) params.transposed_stored[4 * lane + i] = ld_shared_u32(word(256 + 4 * lane + i));
}
TEST(WarpFunctions, LdmatrixGivesEachLaneItsElementsAndStmatrixPutsThemBack) {
  std::vector<u32> plain(128), transposed(128), plain_stored(128), transposed_stored(128);
  const LdmatrixParams params{plain.data(), transposed.data(), plain_stored.data(), transposed_stored.data()};
  expect_clean({.entry = &ldmatrix_both, .params = &params, .threads = 32, .smem_bytes = 1536});
  for (u32 i = 0; i < 128; ++i) {
    EXPECT_EQ(plain_stored[i], 2 * i | (2 * i + 1) << 16);
    EXPECT_EQ(transposed_stored[i], 2 * i | (2 * i + 1) << 16);
  }
  for (u32 lane = 0; lane < 32; ++lane) {
    for (u32 matrix = 0; matrix < 4; ++matrix) {
      const u32 row = lane / 4, pair = lane % 4 * 2, base = 64 * matrix;
      EXPECT_EQ(plain[4 * lane + matrix], (base + 8 * row + pair) | (base + 8 * row + pair + 1) << 16);
      EXPECT_EQ(transposed[4 * lane + matrix], (base + 8 * pair + row) | (base + 8 * (pair + 1) + row) << 16);
    }
  }
}

struct MmaParams {
  const float* a;  // (32, 16)
  const float* b;  // (24, 16)
  float* c;        // (32, 24), added to
};
// Fragments are filled as PTX defines them, element by element.
template <Dtype kDtype>
DUET_DEVICE void multiply_fragments(const MmaParams& p) {
  const int group = lane_index() / 4, pair = lane_index() % 4 * 2;
  u32 a[2][4], b[3][2];
  float c[2][3][4];
  for (int i = 0; i < 2; ++i) {
    for (int q = 0; q < 4; ++q) {
      const float* source = p.a + (16 * i + group + 8 * (q % 2)) * 16 + pair + 8 * (q / 2);
      a[i][q] = pack2<kDtype>(source[0], source[1]);
    }
  }
  for (int j = 0; j < 3; ++j) {
    for (int q = 0; q < 2; ++q) {
      const float* source = p.b + (8 * j + group) * 16 + pair + 8 * q;
      b[j][q] = pack2<kDtype>(source[0], source[1]);
    }
  }
  const auto element = [&](int i, int j, int q) {
    return p.c + (16 * i + group + 8 * (q / 2)) * 24 + 8 * j + pair + q % 2;
  };
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 3; ++j) {
      for (int q = 0; q < 4; ++q) c[i][j][q] = *element(i, j, q);
    }
  }
  mma_tile<kDtype, 2, 3>(c, a, b);
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 3; ++j) {
      for (int q = 0; q < 4; ++q) *element(i, j, q) = c[i][j][q];
    }
  }
}
DUET_KERNEL(mma_f16, MmaParams, 32, 1) { multiply_fragments<Dtype::f16>(params); }
DUET_KERNEL(mma_bf16, MmaParams, 32, 1) { multiply_fragments<Dtype::bf16>(params); }

TEST(WarpFunctions, MmaAgreesWithAScalarProduct) {
  for (const emulator::KernelEntry entry : {&mma_f16, &mma_bf16}) {
    std::vector<float> a(32 * 16), b(24 * 16), c(32 * 24), expected;
    for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(static_cast<int>(i * 7 % 31) - 15) / 8;
    for (std::size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(static_cast<int>(i * 5 % 29) - 14) / 4;
    for (std::size_t i = 0; i < c.size(); ++i) c[i] = static_cast<float>(i);
    expected = c;
    for (std::size_t row = 0; row < 32; ++row) {
      for (std::size_t column = 0; column < 24; ++column) {
        for (std::size_t k = 0; k < 16; ++k) expected[row * 24 + column] += a[row * 16 + k] * b[column * 16 + k];
      }
    }
    const MmaParams params{a.data(), b.data(), c.data()};
    ASSERT_TRUE(run_grid({.entry = entry, .params = &params, .threads = 32, .variant = {}}).ok());
    EXPECT_EQ(c, expected) << "all values are exact in both types";
  }
}

// ---- cp.async

struct CopyParams {
  const u32* source;
  u32* out;
  int stage_to_read;
};
// Two groups of copies; after a wait for all but one group only the first may be read.
DUET_KERNEL(copy_groups, CopyParams, 32, 1) {
  const int lane = lane_index();
  cp_async<4>(word(lane), params.source + lane, true);
  cp_async_commit();
  cp_async<4>(word(32 + lane), params.source + 32 + lane, lane % 2 == 0);
  cp_async_commit();
  cp_async_wait<1>();
  sync_warp();
  params.out[lane] = ld_shared_u32(word(params.stage_to_read * 32 + lane));
  cp_async_wait<0>();
  params.out[32 + lane] = ld_shared_u32(word(32 + lane));
}
TEST(Copies, AreReadableOnceTheirGroupIsWaitedFor) {
  std::vector<u32> source(64), out(64);
  std::iota(source.begin(), source.end(), 100u);
  const CopyParams first{source.data(), out.data(), 0}, second{source.data(), out.data(), 1};
  expect_clean({.entry = &copy_groups, .params = &first, .threads = 32, .smem_bytes = 256});
  EXPECT_EQ(out[31], 131u);
  EXPECT_EQ(out[32], 132u);
  EXPECT_EQ(out[33], 0u) << "an invalid copy writes zeros";
  expect_always({.entry = &copy_groups, .params = &second, .threads = 32, .smem_bytes = 256},
                FaultKind::read_in_flight);
}

DUET_KERNEL(uncommitted_copy, CopyParams, 32, 1) {
  cp_async<4>(word(lane_index()), params.source + lane_index(), true);
  cp_async_wait<0>();
  params.out[lane_index()] = ld_shared_u32(word(lane_index()));
}
TEST(Copies, AWaitDoesNotCoverWhatWasNotCommitted) {
  std::vector<u32> source(32), out(32);
  const CopyParams params{source.data(), out.data(), 0};
  expect_always({.entry = &uncommitted_copy, .params = &params, .threads = 32, .smem_bytes = 128},
                FaultKind::read_in_flight);
}

DUET_KERNEL(many_groups, CopyParams, 32, 1) {
  u32 sum = 0;
  for (int i = 0; i < 300; ++i) {
    cp_async<4>(word(i % 3 * 32 + lane_index()), params.source + i % 2 * 32 + lane_index(), true);
    cp_async_commit();
    cp_async_wait<2>();
    if (i >= 2) sum += ld_shared_u32(word((i - 2) % 3 * 32 + lane_index()));
  }
  params.out[lane_index()] = sum;
}
TEST(Copies, LongPipelinesKeepTheirOrder) {
  std::vector<u32> source(64), out(32);
  std::fill(source.begin(), source.begin() + 32, 1u);
  std::fill(source.begin() + 32, source.end(), 1000u);
  const CopyParams params{source.data(), out.data(), 0};
  expect_clean({.entry = &many_groups, .params = &params, .threads = 32, .smem_bytes = 384});
  EXPECT_EQ(out, std::vector<u32>(32, 149 * 1001));
}

}  // namespace
}  // namespace duet
