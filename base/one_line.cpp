#include "base/one_line.h"

namespace duet {
namespace {

std::string shortened(std::string_view text, std::size_t longest) {
  std::string line(text.substr(0, longest));
  for (char& c : line)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  if (text.size() <= longest) return line;
  while (!line.empty() && (static_cast<unsigned char>(line.back()) & 0x80) != 0) line.pop_back();  // no half character
  return line + "...";
}

}  // namespace

std::string printable(std::string_view text) { return shortened(text, 64); }

std::string one_line(std::string_view message) { return shortened(message, 1000); }

}  // namespace duet
