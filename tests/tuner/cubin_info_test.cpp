#include "tuner/cubin_info.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "tests/tuner/sample_elf.h"

namespace duet {
namespace {

using Bytes = std::vector<std::byte>;

TEST(CubinInfo, ReadsRegistersSharedMemoryAndCode) {
  const CubinInfo info = read_cubin_info(sample_elf(), "kernel");
  EXPECT_EQ(info.registers, 96);
  EXPECT_EQ(info.static_smem_bytes, 4096);
  EXPECT_FALSE(info.text_hash.empty());
}

TEST(CubinInfo, AnotherEntryIsNotThere) {
  const CubinInfo info = read_cubin_info(sample_elf(), "other");
  EXPECT_EQ(info.registers, 0);
  EXPECT_TRUE(info.text_hash.empty());
}

TEST(CubinInfo, NoElfGivesNothing) {
  EXPECT_EQ(read_cubin_info({}, "kernel").registers, 0);
  EXPECT_EQ(read_cubin_info(Bytes(1000, std::byte{0x7f}), "kernel").registers, 0);
}

TEST(CubinInfo, EveryTruncationIsHarmless) {
  const Bytes image = sample_elf();
  for (std::size_t size = 0; size < image.size(); ++size) read_cubin_info(std::span(image).first(size), "kernel");
}

TEST(CubinInfo, RandomDamageIsHarmless) {
  std::mt19937 generator(11);
  const Bytes original = sample_elf();
  for (int trial = 0; trial < 20000; ++trial) {
    Bytes image = original;
    for (int i = 0; i < 4; ++i) image[generator() % image.size()] = static_cast<std::byte>(generator());
    const CubinInfo info = read_cubin_info(image, "kernel");
    EXPECT_GE(info.registers, 0);
    EXPECT_LE(info.registers, 1024);
  }
}

TEST(PtxasLog, SumsSpillsOverFunctions) {
  const PtxasUsage usage = read_ptxas_log(
      "ptxas info    : Compiling entry function 'a' for 'sm_87'\n"
      "ptxas         .     16 bytes stack frame, 12 bytes spill stores, 20 bytes spill loads\n"
      "ptxas info    : Used 255 registers, used 1 barriers, 256 bytes smem, 360 bytes cmem[0]\n"
      "    8 bytes stack frame, 4 bytes spill stores, 4 bytes spill loads");
  EXPECT_TRUE(usage.found);
  EXPECT_EQ(usage.spill_bytes(), 40);
  EXPECT_EQ(usage.stack_bytes, 24);
  EXPECT_EQ(usage.static_smem_bytes, 256);
}

TEST(PtxasLog, OtherTextIsNoUsage) {
  EXPECT_FALSE(read_ptxas_log("").found);
  EXPECT_FALSE(read_ptxas_log("bytes spill stores\n bytes smem").found);
  EXPECT_EQ(read_ptxas_log("99999999999999999999 bytes spill stores").spill_bytes(), 0);
}

}  // namespace
}  // namespace duet
