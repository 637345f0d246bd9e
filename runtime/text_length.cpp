#include "runtime/text_length.h"

#include <charconv>

namespace duet {
namespace {

constexpr std::string_view kMark = "-text";

}  // namespace

std::string text_length_suffix(int tokens) {
  return tokens > 0 ? std::string(kMark) + std::to_string(tokens) : std::string();
}

int text_length_of(std::string_view variant) {
  const std::size_t mark = variant.rfind(kMark);
  if (mark == std::string_view::npos) return 0;
  const std::string_view number = variant.substr(mark + kMark.size());
  int tokens = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), tokens);
  return error == std::errc() && end == number.data() + number.size() && tokens > 0 ? tokens : 0;
}

}  // namespace duet
