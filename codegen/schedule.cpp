#include "codegen/schedule.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/one_line.h"
#include "codegen/tile_fields.h"
#include "codegen/yaml_document.h"

namespace duet {
namespace {

constexpr std::uint64_t kMaxFileBytes = 1 << 16;
constexpr int kMaxValue = 1 << 20;
constexpr std::int64_t kMaxCombinations = 1'000'000;
constexpr std::string_view kGemmLimits = "gemm_limits";

class SpaceFile {
 public:
  SpaceFile(std::string file_name, std::string_view text)
      : file_(std::move(file_name)), root_(parse_yaml(text, file_)) {}

  SearchSpace read() const {
    const YamlNode* version = root_.find("duet_schedule");
    if (version == nullptr || version->text != "1")
      fail_at(version == nullptr ? root_.line : version->line, "'duet_schedule: 1' must say the format's version");
    const YamlNode* name = root_.find("name");
    if (name == nullptr || name->text.empty()) fail_at(root_.line, "'name' is missing");
    SearchSpace space;
    space.name = name->text;
    for (const auto& [key, node] : root_.fields) {
      if (key == "duet_schedule" || key == "name") continue;
      if (key == kGemmLimits)
        space.gemm_limits = read_gemm_limits(node);
      else
        space.ranges[key] = read_family(key, node);
    }
    return space;
  }

 private:
  using Ranges = std::map<std::string, std::vector<int>>;

  [[noreturn]] void fail_at(int line, std::string_view message) const {
    fail(ErrorKind::input, "{}:{}: {}", file_, line, one_line(message));
  }

  // Of a section "family" or "family.name".
  Ranges read_family(const std::string& section, const YamlNode& node) const {
    const std::string family = section.substr(0, section.find('.'));
    const std::vector<std::string_view> known = parameter_names(family);
    if (known.empty())
      fail_at(node.line, fmt::format("unknown family '{}': use one of {}{}", family, fmt::join(kFamilyNames, ", "),
                                     suggestion(family, kFamilyNames)));
    if (node.kind != YamlNode::Kind::map) fail_at(node.line, fmt::format("{} must be a map of parameters", section));
    Ranges ranges;
    std::int64_t combinations = 1;
    for (const auto& [parameter, values] : node.fields) {
      if (std::find(known.begin(), known.end(), parameter) == known.end())
        fail_at(values.line, fmt::format("{}: unknown parameter '{}': use one of {}{}", section, parameter,
                                         fmt::join(known, ", "), suggestion(parameter, known)));
      ranges[parameter] = read_values(section, parameter, values);
      combinations *= static_cast<std::int64_t>(ranges[parameter].size());
      if (combinations > kMaxCombinations)
        fail_at(values.line, fmt::format("{}: more than {} combinations", section, kMaxCombinations));
    }
    return ranges;
  }

  GemmLimits read_gemm_limits(const YamlNode& node) const {
    if (node.kind != YamlNode::Kind::map) fail_at(node.line, fmt::format("{} must be a map of limits", kGemmLimits));
    GemmLimits limits;
    for (const auto& [limit, values] : node.fields) {
      if (limit == "warp_elements") {
        std::tie(limits.min_warp_elements, limits.max_warp_elements) = read_bounds(limit, values);
      } else if (limit == "bytes_in_flight") {
        std::tie(limits.min_bytes_in_flight, limits.max_bytes_in_flight) = read_bounds(limit, values);
      } else if (limit == "sliced_warps") {
        limits.sliced_warps = read_value(fmt::format("{}.{}", kGemmLimits, limit), values);
      } else if (limit == "split_blocks_per_sm") {
        limits.split_blocks_per_sm = read_value(fmt::format("{}.{}", kGemmLimits, limit), values);
      } else {
        fail_at(values.line, fmt::format("{}: unknown limit '{}': use one of warp_elements, bytes_in_flight, "
                                         "sliced_warps, split_blocks_per_sm",
                                         kGemmLimits, limit));
      }
    }
    return limits;
  }

  // [least, most]
  std::pair<int, int> read_bounds(const std::string& limit, const YamlNode& node) const {
    const std::string name = fmt::format("{}.{}", kGemmLimits, limit);
    if (node.kind != YamlNode::Kind::sequence || node.items.size() != 2)
      fail_at(node.line, fmt::format("{} must be [least, most]", name));
    const std::pair bounds{read_value(name, node.items[0]), read_value(name, node.items[1])};
    if (bounds.first > bounds.second)
      fail_at(node.line, fmt::format("{}: {} is more than {}", name, bounds.first, bounds.second));
    return bounds;
  }

  int read_value(const std::string& name, const YamlNode& item) const {
    const std::string& text = item.text;
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool number = item.kind == YamlNode::Kind::scalar && error == std::errc{} && end == text.data() + text.size();
    if (!number || value < 1 || value > kMaxValue)
      fail_at(item.line, fmt::format("{}: '{}' is no whole number from 1 to {}", name, text, kMaxValue));
    return value;
  }

  std::vector<int> read_values(const std::string& family, const std::string& parameter, const YamlNode& node) const {
    if (node.kind != YamlNode::Kind::sequence || node.items.empty())
      fail_at(node.line, fmt::format("{}.{} must be a list of values", family, parameter));
    std::vector<int> values;
    for (const YamlNode& item : node.items) {
      const int value = read_value(fmt::format("{}.{}", family, parameter), item);
      if (std::find(values.begin(), values.end(), value) != values.end())
        fail_at(item.line, fmt::format("{}.{}: {} is listed twice", family, parameter, value));
      values.push_back(value);
    }
    return values;
  }

  std::string file_;
  YamlNode root_;
};

}  // namespace

SearchSpace load_search_space(const std::filesystem::path& path) {
  const std::string text = read_text_file(path, kMaxFileBytes);
  return SpaceFile(path.string(), text).read();
}

}  // namespace duet
