// Byte-pair encoding of one word: symbols are joined pair by pair, the pair of the best rank first, the leftmost of
// equal ones first. O(n log n) in the length of the word.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace duet {

class BytePairs {
 public:
  using Vocabulary = std::unordered_map<std::string, std::int32_t>;
  struct Merge {
    std::string left{};
    std::string right{};
  };

  // `merges` in order of rank. Tokens are spelled in GPT-2's alphabet of printable bytes; a word's last token ends in
  // "</w>". Throws Error(input) naming `file` when a merge speaks of a token that the vocabulary lacks.
  BytePairs(const Vocabulary& vocabulary, std::span<const Merge> merges, std::int32_t unknown, std::string_view file);

  // Appends the tokens of a non-empty word, given as its UTF-8 bytes.
  void encode(std::string_view word, std::vector<std::int32_t>& ids) const;

 private:
  struct Joined {
    std::uint32_t rank = 0;
    std::int32_t id = 0;
  };
  const Joined* find(std::int32_t left, std::int32_t right) const;

  std::vector<std::int32_t> inner_;  // by byte: its token inside a word
  std::vector<std::int32_t> final_;  // by byte: its token at the end of a word
  std::unordered_map<std::uint64_t, Joined> merges_{};
};

}  // namespace duet
