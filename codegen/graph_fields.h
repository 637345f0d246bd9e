// The keys of one node of a graph file, read with their types: numbers may be parameters or loop variables by name,
// weights get the prefix of their section. Every failure names file, line and node.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/weight_recipe.h"
#include "codegen/yaml_document.h"

namespace duet {

// What a message points at.
struct FilePlace {
  std::string_view file;
  int line = 0;
  std::string subject;  // "node 'vision.layers.0.q'", or empty for the document itself

  [[noreturn]] void fail(std::string_view message) const;
  FilePlace at(int other_line) const { return {.file = file, .line = other_line, .subject = subject}; }
};

using Symbols = std::map<std::string, double, std::less<>>;  // parameters and loop variables

inline constexpr std::int64_t kMaxDimension = 1 << 24;

// Letters, digits and underscores, not starting with a digit, at most 64: what users may name.
bool is_identifier(std::string_view text);
void require_identifier(const FilePlace& place, std::string_view text, std::string_view what);
// Replaces "{i}" by the value of the integer symbol i.
std::string substitute(const FilePlace& place, std::string_view text, const Symbols& symbols);
// Fails on any key outside `known`, suggesting the nearest.
void require_known_keys(const FilePlace& place, const YamlNode& map, std::span<const std::string_view> known);
const YamlNode& require_kind(const FilePlace& place, const YamlNode& node, YamlNode::Kind kind, std::string_view what);
std::int64_t parse_integer(const FilePlace& place, const YamlNode& node, std::string_view what, const Symbols& symbols,
                           std::int64_t least, std::int64_t most);
double parse_number(const FilePlace& place, const YamlNode& node, std::string_view what, const Symbols& symbols);
// `name` behind `prefix` and a dot; a name that starts with '/' is complete as it is.
std::string join_weight_name(const FilePlace& place, std::string_view prefix, std::string_view name);

class Fields {
 public:
  Fields(const YamlNode& map, FilePlace place, const Symbols& symbols, std::string_view weight_prefix)
      : map_(map), place_(std::move(place)), symbols_(symbols), weight_prefix_(weight_prefix) {}

  const FilePlace& place() const { return place_; }
  bool has(std::string_view key) const { return map_.find(key) != nullptr; }
  const YamlNode& required(std::string_view key) const;

  std::string text(std::string_view key) const;  // a scalar, loop variables replaced
  std::int64_t integer(std::string_view key, std::int64_t least = 1, std::int64_t most = kMaxDimension) const;
  double number(std::string_view key, double otherwise) const;
  bool flag(std::string_view key, bool otherwise) const;
  // One of `choices`, as its index; the first when the key is absent.
  std::size_t choice(std::string_view key, std::span<const std::string_view> choices) const;

  // The weight `name` of this section, whole, of the given shape.
  WeightSource weight(std::string_view name, Shape shape) const;
  // The weight that the key names, "name" or "name[begin:end of rows]"; shape[0] counts the rows taken.
  WeightSource weight_at(std::string_view key, Shape shape) const;

 private:
  const YamlNode& map_;
  FilePlace place_;
  const Symbols& symbols_;
  std::string_view weight_prefix_;
};

}  // namespace duet
