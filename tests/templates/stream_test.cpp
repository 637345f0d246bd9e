// The stream kernel in the emulator: which memory it reads, and that it always ends.
#include "templates/stream.cuh"

#include "tests/templates/kernel_harness.h"

namespace duet {

struct small_stream_entry {
  static constexpr StreamConfig value = [] {
    StreamConfig config{};
    config.tile.threads = 32;
    config.tile.vectors_per_thread = 2;
    return config;
  }();
};
DUET_KERNEL(small_stream, StreamParams, small_stream_entry::value.threads(), 1) { stream<small_stream_entry>(params); }

namespace {

using namespace duet::testing;

constexpr StreamConfig kConfig = small_stream_entry::value;
constexpr int kWords = kConfig.chunk_bytes() / 4;

class Stream : public ::testing::Test {
 protected:
  explicit Stream(int chunks = 8) : chunks_(chunks), data_(static_cast<std::size_t>(chunks * kWords)) {
    params_.data = data_.data();
    params_.found = &found_;
    params_.chunks = static_cast<u64>(chunks);
    params_.chunks_a_look = 1;
  }
  // One word of each chunk, seen by another thread in each.
  void mark_chunks() {
    for (int chunk = 0; chunk < chunks_; ++chunk) data_[static_cast<std::size_t>(chunk * kWords + 4 * chunk)] = 1;
  }
  void run(int blocks) {
    const emulator::LaunchOutcome outcome = emulator::run_grid({.entry = small_stream,
                                                                .params = &params_,
                                                                .grid = {blocks, 1, 1},
                                                                .threads = kConfig.threads(),
                                                                .smem_bytes = 0,
                                                                .variant = {}});
    ASSERT_TRUE(outcome.ok()) << to_string(*outcome.fault);
  }

  int chunks_;
  std::vector<u32> data_;
  u32 found_ = 0, stop_ = 0, started_ = 0, expired_ = 0;
  StreamParams params_{};
};

TEST_F(Stream, ReadsEveryChunkOnceBetweenItsBlocks) {
  mark_chunks();
  for (const int blocks : {1, 2, 4, 8}) {
    found_ = 0;
    params_.most_chunks = static_cast<u64>(chunks_ / blocks);
    run(blocks);
    EXPECT_EQ(found_, static_cast<u32>(chunks_)) << blocks << " blocks";
  }
}

TEST_F(Stream, BeginsAgainAtTheEnd) {
  data_.back() = 1;  // of the last chunk
  params_.most_chunks = 3;
  run(3);  // chunks 0, 3, 6 and 1, 4, 7 and 2, 5, 0
  EXPECT_EQ(found_, 1U);
  found_ = 0;
  params_.most_chunks = 2;
  run(3);
  EXPECT_EQ(found_, 0U);
}

TEST_F(Stream, EndsWhenToldTo) {
  params_.stop = &stop_;
  params_.started = &started_;
  params_.expired = &expired_;
  params_.limit_cycles = u64{1} << 40;
  stop_ = 1;
  run(5);
  EXPECT_EQ(started_, 5U);
  EXPECT_EQ(expired_, 0U);
}

TEST_F(Stream, EndsByItselfWhenNobodyTellsIt) {
  mark_chunks();
  params_.stop = &stop_;
  params_.started = &started_;
  params_.expired = &expired_;
  for (const u32 period : {0U, 50'000U}) {
    found_ = started_ = expired_ = 0;
    params_.period_cycles = period;
    params_.limit_cycles = 20'000'000;
    run(2);
    EXPECT_EQ(started_, 2U);
    EXPECT_EQ(expired_, 2U);
    EXPECT_EQ(found_, static_cast<u32>(chunks_)) << "it streamed until then";
  }
}

TEST(StreamConfigs, NameWhatIsInfeasible) {
  EXPECT_EQ(stream_infeasible(StreamConfig{}), nullptr);
  StreamConfig config{};
  config.tile.threads = 100;
  EXPECT_NE(stream_infeasible(config), nullptr);
  config = {};
  config.tile.vectors_per_thread = 0;
  EXPECT_NE(stream_infeasible(config), nullptr);
}

}  // namespace
}  // namespace duet
