// A piece of a file or a text as a message shows it: one line, of bounded length.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace duet {

// Control characters as \x0a; what is longer than 80 bytes ends in "...".
inline std::string shown(std::string_view text) {
  constexpr std::size_t kMostBytes = 80;
  std::string line;
  for (const char c : text.substr(0, kMostBytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      line += fmt::format("\\x{:02x}", byte);
    } else {
      line += c;
    }
  }
  return text.size() > kMostBytes ? line + "..." : line;
}

}  // namespace duet
