#include "codegen/yaml_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/one_line.h"

namespace duet {

YamlFields::YamlFields(std::string file, std::string_view text, std::string advice)
    : file_(std::move(file)), advice_(std::move(advice)), root_(parse_yaml(text, file_)) {}

void YamlFields::fail_at(const YamlNode& node, std::string_view message) const {
  fail(ErrorKind::input, "{}:{}: {}", file_, node.line, one_line(message));
}

const YamlNode& YamlFields::require(const YamlNode& map, std::string_view key) const {
  if (const YamlNode* found = map.find(key)) return *found;
  fail_at(map, fmt::format("'{}' is missing: {}", key, advice_));
}

void YamlFields::check_keys(const YamlNode& node, std::span<const std::string_view> known) const {
  if (node.kind != YamlNode::Kind::map) fail_at(node, "a map is expected here");
  for (const auto& [key, value] : node.fields)
    if (std::find(known.begin(), known.end(), key) == known.end())
      fail_at(value, fmt::format("unknown key '{}'{}", key, suggestion(key, known)));
}

std::string YamlFields::text_of(const YamlNode& node) const {
  constexpr std::size_t kMostBytes = 300;
  if (node.kind != YamlNode::Kind::scalar || node.text.empty() || node.text.size() > kMostBytes)
    fail_at(node, "a short text is expected here");
  return node.text;
}

void YamlFields::check_version(std::string_view key) const {
  const YamlNode& version = require(root_, key);
  if (text_of(version) != "1")
    fail_at(version, fmt::format("unknown version of the format: this Duet reads {}: 1", key));
}

std::string yaml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const bool control = static_cast<unsigned char>(c) < ' ' || c == '\x7f';
    out += control                 ? fmt::format("\\x{:02x}", static_cast<unsigned char>(c))
           : c == '"' || c == '\\' ? std::string{'\\', c}
                                   : std::string(1, c);
  }
  return out + "\"";
}

}  // namespace duet
