// A YAML file of maps whose keys are known: what is missing, unknown or no short text is refused with file and line.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "codegen/yaml_document.h"

namespace duet {

class YamlFields {
 public:
  // Throws Error(input) where the text is no YAML. `advice` ends the message about a missing key.
  YamlFields(std::string file, std::string_view text, std::string advice);

  const YamlNode& root() const { return root_; }
  [[noreturn]] void fail_at(const YamlNode& node, std::string_view message) const;
  const YamlNode& require(const YamlNode& map, std::string_view key) const;
  // `node` must be a map of no other keys.
  void check_keys(const YamlNode& node, std::span<const std::string_view> known) const;
  // A scalar of 1 to 300 bytes.
  std::string text_of(const YamlNode& node) const;
  std::string text_of(const YamlNode& map, std::string_view key) const { return text_of(require(map, key)); }
  // The root must say `key`: 1.
  void check_version(std::string_view key) const;

 private:
  std::string file_, advice_;
  YamlNode root_;
};

// In double quotes, with what would not stay as it is there escaped.
std::string yaml_string(std::string_view text);

}  // namespace duet
