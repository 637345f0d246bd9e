// YAML read into a small tree, bounded on any input: size, nesting and node count are limited, anchors, aliases, tags,
// duplicate keys and text that is not UTF-8 are refused. Every failure is Error(input) `file:line: message`.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace duet {

struct YamlNode {
  enum class Kind { scalar, sequence, map };
  Kind kind = Kind::scalar;
  int line = 0;
  int key_line = 0;                                        // of the key before it, in a map
  std::string text{};                                      // scalar; empty for null
  bool quoted = false;                                     // scalar: a string even where it looks like a number
  std::vector<YamlNode> items{};                           // sequence
  std::vector<std::pair<std::string, YamlNode>> fields{};  // map, in the file's order

  const YamlNode* find(std::string_view key) const;  // null when absent or no map
};

struct YamlLimits {
  std::size_t bytes = 1 << 20;
  int depth = 32;
  std::size_t nodes = 100000;
};

// One document whose root is a map.
YamlNode parse_yaml(std::string_view text, std::string_view file_name, const YamlLimits& limits = {});

// "; did you mean 'width'?" for the nearest of `known`, or "" when none is near.
std::string suggestion(std::string_view name, std::span<const std::string_view> known);

}  // namespace duet
