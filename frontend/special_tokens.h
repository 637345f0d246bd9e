// Tokens that stand for themselves in a text, and the text between them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace duet {

class SpecialTokens {
 public:
  // `text` is not empty; of two tokens with one text the first counts.
  void add(std::u32string text, std::int32_t id);
  // Calls `plain` with every part between tokens (also empty ones) and `found` with every token's id, in order. Tokens
  // are found from the left, the longest first.
  template <typename Plain, typename Found>
  void split(std::u32string_view text, const Plain& plain, const Found& found) const;

 private:
  using Token = std::pair<std::u32string, std::int32_t>;
  const Token* longest_prefix(std::u32string_view text) const;

  std::unordered_map<char32_t, std::vector<Token>> by_first_{};
};

template <typename Plain, typename Found>
void SpecialTokens::split(std::u32string_view text, const Plain& plain, const Found& found) const {
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Token* token = longest_prefix(text.substr(at));
    if (token == nullptr) {
      ++at;
      continue;
    }
    plain(text.substr(begin, at - begin));
    found(token->second);
    begin = at += token->first.size();
  }
  plain(text.substr(begin));
}

}  // namespace duet
