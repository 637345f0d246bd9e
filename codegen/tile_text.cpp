#include "codegen/tile_text.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

#include "base/error.h"
#include "codegen/tile_fields.h"

namespace duet {
namespace {

template <std::size_t... kIndex>
KernelTile default_tile(std::size_t family, std::index_sequence<kIndex...>) {
  KernelTile tile;
  static_cast<void>(((family == kIndex && (tile.emplace<kIndex>(), true)) || ...));
  return tile;
}

KernelTile default_tile(std::string_view family) {
  for (std::size_t i = 0; i < std::size(kFamilyNames); ++i)
    if (kFamilyNames[i] == family) return default_tile(i, std::make_index_sequence<std::variant_size_v<KernelTile>>());
  fail(ErrorKind::input, "there is no kernel family '{}'", family);
}

// The parameter's place in the tile, or null.
int* find_parameter(KernelTile& tile, std::string_view name) {
  return std::visit(
      [&](auto& one) {
        int* found = nullptr;
        for (const auto& field : kTileFields<std::decay_t<decltype(one)>>)
          if (field.name == name) found = &(one.*field.member);
        return found;
      },
      tile);
}

void set_parameter(KernelTile& tile, std::string_view family, std::string_view word) {
  const std::size_t equals = std::min(word.find('='), word.size());
  int* parameter = find_parameter(tile, word.substr(0, equals));
  if (parameter == nullptr) fail(ErrorKind::input, "'{}' is no parameter of the family {}", word, family);
  const std::string_view number = word.substr(std::min(equals + 1, word.size()));
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), *parameter);
  if (error != std::errc() || end != number.data() + number.size())
    fail(ErrorKind::input, "'{}' of the family {} is no whole number", word, family);
}

}  // namespace

KernelTile parse_tile(std::string_view family, std::string_view config_text) {
  KernelTile tile = default_tile(family);
  while (!config_text.empty()) {
    const std::size_t space = std::min(config_text.find(' '), config_text.size());
    if (space > 0) set_parameter(tile, family, config_text.substr(0, space));
    config_text.remove_prefix(std::min(space + 1, config_text.size()));
  }
  return tile;
}

}  // namespace duet
