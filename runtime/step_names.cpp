#include "runtime/step_names.h"

#include <algorithm>

namespace duet {
namespace {

bool is_number(std::string_view part) {
  return !part.empty() && std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

std::string layer_pattern(std::string_view step_name) {
  std::string pattern;
  while (true) {
    const std::size_t end = std::min(step_name.find('.'), step_name.size());
    const std::string_view part = step_name.substr(0, end);
    pattern += is_number(part) ? "*" : std::string(part);
    if (end == step_name.size()) return pattern;
    pattern += '.';
    step_name.remove_prefix(end + 1);
  }
}

}  // namespace duet
