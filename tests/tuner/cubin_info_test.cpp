#include "tuner/cubin_info.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace duet {
namespace {

using Bytes = std::vector<std::byte>;

template <typename Integer>
void put(Bytes& bytes, std::size_t at, Integer value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}
void append(Bytes& bytes, const std::string& text) {
  for (char c : text) bytes.push_back(static_cast<std::byte>(c));
}

struct Part {
  std::string name;
  std::uint32_t type;
  Bytes content;
  std::uint32_t link = 0;
};

// A minimal image: header, contents, section headers.
Bytes make_elf(std::vector<Part> parts) {
  Bytes names(1);
  parts.insert(parts.begin(), Part{"", 0, {}, 0});
  parts.push_back({".shstrtab", 3, {}, 0});
  std::vector<std::uint32_t> name_at;
  for (const Part& part : parts) {
    name_at.push_back(static_cast<std::uint32_t>(names.size()));
    append(names, part.name);
    names.push_back(std::byte{0});
  }
  parts.back().content = names;
  Bytes image(64);
  const unsigned char magic[] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
  std::memcpy(image.data(), magic, sizeof magic);
  std::vector<std::uint64_t> offset;
  for (const Part& part : parts) {
    offset.push_back(image.size());
    image.insert(image.end(), part.content.begin(), part.content.end());
  }
  put<std::uint64_t>(image, 40, image.size());
  put<std::uint16_t>(image, 58, 64);
  put<std::uint16_t>(image, 60, static_cast<std::uint16_t>(parts.size()));
  put<std::uint16_t>(image, 62, static_cast<std::uint16_t>(parts.size() - 1));
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::size_t at = image.size();
    image.resize(at + 64);
    put<std::uint32_t>(image, at, name_at[i]);
    put<std::uint32_t>(image, at + 4, parts[i].type);
    put<std::uint64_t>(image, at + 24, offset[i]);
    put<std::uint64_t>(image, at + 32, parts[i].type == 8 ? 4096 : parts[i].content.size());
    put<std::uint32_t>(image, at + 40, parts[i].link);
  }
  return image;
}

Bytes sample_image() {
  Bytes strings(1), symbols(2 * 24), info(16 + 4);
  append(strings, "kernel");
  strings.push_back(std::byte{0});
  put<std::uint32_t>(symbols, 24, 1);
  info[0] = std::byte{3};  // a two-byte attribute before it
  info[4] = std::byte{4};
  info[5] = std::byte{0x2f};
  put<std::uint16_t>(info, 6, 8);
  put<std::uint32_t>(info, 8, 1);
  put<std::uint32_t>(info, 12, 96);
  return make_elf({{".strtab", 3, strings, 0},
                   {".symtab", 2, symbols, 1},
                   {".nv.info", 0x70000000, info, 2},
                   {".nv.shared.kernel", 8, {}, 0},
                   {".text.kernel", 1, Bytes(128, std::byte{7}), 0}});
}

TEST(CubinInfo, ReadsRegistersSharedMemoryAndCode) {
  const CubinInfo info = read_cubin_info(sample_image(), "kernel");
  EXPECT_EQ(info.registers, 96);
  EXPECT_EQ(info.static_smem_bytes, 4096);
  EXPECT_FALSE(info.text_hash.empty());
}

TEST(CubinInfo, AnotherEntryIsNotThere) {
  const CubinInfo info = read_cubin_info(sample_image(), "other");
  EXPECT_EQ(info.registers, 0);
  EXPECT_TRUE(info.text_hash.empty());
}

TEST(CubinInfo, NoElfGivesNothing) {
  EXPECT_EQ(read_cubin_info({}, "kernel").registers, 0);
  EXPECT_EQ(read_cubin_info(Bytes(1000, std::byte{0x7f}), "kernel").registers, 0);
}

TEST(CubinInfo, EveryTruncationIsHarmless) {
  const Bytes image = sample_image();
  for (std::size_t size = 0; size < image.size(); ++size) read_cubin_info(std::span(image).first(size), "kernel");
}

TEST(CubinInfo, RandomDamageIsHarmless) {
  std::mt19937 generator(11);
  const Bytes original = sample_image();
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
