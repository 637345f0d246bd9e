#include "codegen/calibration.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <span>

#include "base/error.h"
#include "base/file.h"
#include "base/one_line.h"
#include "codegen/tile_fields.h"
#include "codegen/yaml_document.h"

namespace duet {
namespace {

constexpr std::uint64_t kMaxFileBytes = 1 << 16;
constexpr std::string_view kKeys[] = {"duet_calibration", "arch", "date", "commit", "held_out", "spaces", "families"};
constexpr std::string_view kErrorKeys[] = {"median", "p90", "rank_correlation", "spaces", "candidates"};

std::vector<std::string_view> factor_names() {
  std::vector<std::string_view> names;
  for (const CostFactorField& field : kCostFactorFields) names.push_back(field.name);
  return names;
}

class CalibrationFile {
 public:
  CalibrationFile(std::string file, std::string_view text) : file_(std::move(file)), root_(parse_yaml(text, file_)) {}

  Calibration read() {
    check_keys(root_, kKeys);
    if (text_of(require(root_, "duet_calibration")) != "1")
      fail_at(require(root_, "duet_calibration"), "unknown version of the format: this Duet reads duet_calibration: 1");
    Calibration calibration{.arch = text_of(require(root_, "arch")),
                            .date = text_of(require(root_, "date")),
                            .commit = require(root_, "commit").text,
                            .held_out = text_of(require(root_, "held_out")),
                            .spaces = {},
                            .families = {}};
    for (const YamlNode& space : require(root_, "spaces").items) calibration.spaces.push_back(text_of(space));
    const YamlNode& families = require(root_, "families");
    check_keys(families, kFamilyNames);
    for (const auto& [name, node] : families.fields) calibration.families[name] = read_family(node);
    return calibration;
  }

 private:
  [[noreturn]] void fail_at(const YamlNode& node, std::string_view message) const {
    fail(ErrorKind::input, "{}:{}: {}", file_, node.line, one_line(message));
  }

  const YamlNode& require(const YamlNode& map, std::string_view key) const {
    if (const YamlNode* found = map.find(key)) return *found;
    fail_at(map, fmt::format("'{}' is missing: see docs/cost-model.md, or fit anew with `duet spaces fit`", key));
  }

  void check_keys(const YamlNode& map, std::span<const std::string_view> known) const {
    if (map.kind != YamlNode::Kind::map) fail_at(map, "a map is expected here");
    for (const auto& [key, node] : map.fields)
      if (std::find(known.begin(), known.end(), key) == known.end())
        fail_at(node, fmt::format("unknown key '{}'{}", key, suggestion(key, known)));
  }

  std::string text_of(const YamlNode& node) const {
    if (node.kind != YamlNode::Kind::scalar || node.text.empty() || node.text.size() > 300)
      fail_at(node, "a short text is expected here");
    return node.text;
  }

  double number(const YamlNode& map, std::string_view key, double least, double most) const {
    const YamlNode& node = require(map, key);
    double value = 0;
    const auto [end, error] = std::from_chars(node.text.data(), node.text.data() + node.text.size(), value);
    const bool whole = error == std::errc{} && end == node.text.data() + node.text.size() && std::isfinite(value);
    if (!whole || value < least || value > most)
      fail_at(node, fmt::format("{}: '{}' is no number from {} to {}", key, printable(node.text), least, most));
    return value;
  }

  FamilyCalibration read_family(const YamlNode& node) const {
    constexpr std::string_view kFamilyKeys[] = {"factors", "held_out_error"};
    constexpr double kMostError = 1e6, kMostCount = 1e9;
    check_keys(node, kFamilyKeys);
    FamilyCalibration family;
    const YamlNode& factors = require(node, "factors");
    check_keys(factors, factor_names());
    for (const CostFactorField& field : kCostFactorFields)
      family.factors.*field.member =
          number(factors, field.name, field.name == "overlap" ? kLeastOverlap : kLeastFactor, kMostFactor);
    const YamlNode& error = require(node, "held_out_error");
    check_keys(error, kErrorKeys);
    family.held_out = {.median = number(error, "median", 0, kMostError),
                       .p90 = number(error, "p90", 0, kMostError),
                       .rank_correlation = number(error, "rank_correlation", -1, 1),
                       .spaces = static_cast<int>(number(error, "spaces", 0, kMostCount)),
                       .candidates = static_cast<int>(number(error, "candidates", 0, kMostCount))};
    return family;
  }

  std::string file_;
  YamlNode root_;
};

// In double quotes, with what would not stay as it is there escaped.
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

std::string family_yaml(const FamilyCalibration& family) {
  std::string text = "    factors:\n";
  for (const CostFactorField& field : kCostFactorFields)
    text += fmt::format("      {}: {:.4g}\n", field.name, family.factors.*field.member);
  const ModelError& e = family.held_out;
  return text + fmt::format(
                    "    held_out_error: {{median: {:.3g}, p90: {:.3g}, rank_correlation: {:.3g}, spaces: {}, "
                    "candidates: {}}}\n",
                    e.median, e.p90, e.rank_correlation, e.spaces, e.candidates);
}

}  // namespace

const FamilyCalibration* Calibration::find(std::string_view family) const {
  const auto found = families.find(std::string(family));
  return found == families.end() ? nullptr : &found->second;
}

Calibration load_calibration(const std::filesystem::path& path) {
  return CalibrationFile(path.string(), read_text_file(path, kMaxFileBytes)).read();
}

std::string calibration_yaml(const Calibration& calibration) {
  std::string text =
      "# Written by `duet spaces fit`: the cost model's multipliers, by kernel family, and the error of predictions "
      "on\n"
      "# what was left out of a fit. docs/cost-model.md says what each means.\n";
  text += fmt::format("duet_calibration: 1\narch: {}\ndate: {}\ncommit: {}\nheld_out: {}\nspaces:\n",
                      yaml_string(calibration.arch), yaml_string(calibration.date), yaml_string(calibration.commit),
                      yaml_string(calibration.held_out));
  for (const std::string& space : calibration.spaces) text += fmt::format("  - {}\n", yaml_string(space));
  text += "families:\n";
  for (const auto& [name, family] : calibration.families) text += fmt::format("  {}:\n{}", name, family_yaml(family));
  return text;
}

std::filesystem::path find_calibration(const std::filesystem::path& directory, std::string_view arch) {
  for (const std::string& name : {std::string(arch), std::string("default")})
    if (const std::filesystem::path path = directory / (name + ".yaml"); std::filesystem::is_regular_file(path))
      return path;
  return {};
}

}  // namespace duet
