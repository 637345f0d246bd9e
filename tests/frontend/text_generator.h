// Lines of mixed languages, emoji, numbers, marks and bad UTF-8, from a seed: the same ones as in
// scripts/make-frontend-goldens, so that only the hashes of their tokens need to be kept.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "frontend/unicode_text.h"

namespace duet {

class SplitMix {
 public:
  explicit SplitMix(std::uint64_t seed) : state_(seed) {}
  std::uint32_t below(std::uint32_t bound) {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return static_cast<std::uint32_t>((z ^ (z >> 31)) % bound);
  }

 private:
  std::uint64_t state_;
};

class LineGenerator {
 public:
  explicit LineGenerator(std::vector<std::string> fragments) : fragments_(std::move(fragments)) {}

  std::string line(std::uint64_t index) const {
    SplitMix random(kSeed * 1'000'003 + index);
    std::string text;
    const std::uint32_t parts = 1 + random.below(24);
    for (std::uint32_t i = 0; i < parts; ++i) {
      add_part(random, text);
      if (random.below(3) != 0) text += ' ';
    }
    return text;
  }

 private:
  static constexpr std::uint64_t kSeed = 2026;

  static void add_character(char32_t c, std::string& text) { text += encode_utf8({&c, 1}); }
  static void add_byte(std::uint32_t byte, std::string& text) { text += static_cast<char>(byte); }

  static void add_from_range(SplitMix& random, std::string& text) {
    static constexpr std::pair<char32_t, char32_t> kRanges[] = {
        {0x20, 0x7e},     {0xa0, 0x17f},      {0x300, 0x36f},    {0x370, 0x52f},   {0x590, 0x6ff},
        {0x900, 0xdff},   {0x1e00, 0x1fff},   {0x2000, 0x2bff},  {0x3040, 0x30ff}, {0x4e00, 0x9fff},
        {0xac00, 0xd7a3}, {0x1d400, 0x1d7ff}, {0x1f300, 0x1f9ff}};
    const auto [low, high] = kRanges[random.below(std::size(kRanges))];
    add_character(low + random.below(high - low + 1), text);
  }
  static void add_space(SplitMix& random, std::string& text) {
    static constexpr char32_t kSpaces[] = {0x20,   0x09,   0x0a,   0x0d,   0x85,   0xa0,
                                           0x1680, 0x2003, 0x2028, 0x3000, 0x200b, 0x1c};
    add_character(kSpaces[random.below(std::size(kSpaces))], text);
  }
  static void add_letter(SplitMix& random, std::string& text) {
    const std::uint32_t letter = 0x61 + random.below(26);
    add_byte(letter - 32 * random.below(2), text);
  }
  template <typename Add>
  static void repeat(SplitMix& random, std::uint32_t most, const Add& add) {
    const std::uint32_t count = 1 + random.below(most);
    for (std::uint32_t i = 0; i < count; ++i) add();
  }

  void add_part(SplitMix& random, std::string& text) const {
    const std::uint32_t kind = random.below(16);
    if (kind < 8) {
      text += fragments_[random.below(static_cast<std::uint32_t>(fragments_.size()))];
    } else if (kind < 10) {
      add_from_range(random, text);
    } else if (kind == 10) {
      repeat(random, 4, [&] { add_byte(random.below(256), text); });
    } else if (kind == 11) {
      repeat(random, 3, [&] { add_space(random, text); });
    } else if (kind == 12) {
      repeat(random, 5, [&] { add_byte(0x30 + random.below(10), text); });
    } else if (kind == 13) {
      repeat(random, 12, [&] { add_letter(random, text); });
    } else if (kind == 14) {
      repeat(random, 6, [&] { add_character(0x300 + random.below(0x70), text); });
    } else {
      repeat(random, 3, [&] { add_byte(0x21 + random.below(15), text); });
    }
  }

  std::vector<std::string> fragments_;
};

}  // namespace duet
