#include "frontend/special_tokens.h"

namespace duet {

void SpecialTokens::add(std::u32string text, std::int32_t id) {
  const char32_t first = text.front();
  by_first_[first].emplace_back(std::move(text), id);
}

const SpecialTokens::Token* SpecialTokens::longest_prefix(std::u32string_view text) const {
  const auto candidates = by_first_.find(text.front());
  if (candidates == by_first_.end()) return nullptr;
  const Token* longest = nullptr;
  for (const Token& token : candidates->second) {
    if (longest != nullptr && token.first.size() <= longest->first.size()) continue;
    if (text.starts_with(token.first)) longest = &token;
  }
  return longest;
}

}  // namespace duet
