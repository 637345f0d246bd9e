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
#include "codegen/yaml_fields.h"

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
  CalibrationFile(std::string file, std::string_view text)
      : yaml_(std::move(file), text, "see docs/cost-model.md, or fit anew with `duet spaces fit`") {}

  Calibration read() const {
    const YamlNode& root = yaml_.root();
    yaml_.check_keys(root, kKeys);
    yaml_.check_version("duet_calibration");
    Calibration calibration{.arch = yaml_.text_of(root, "arch"),
                            .date = yaml_.text_of(root, "date"),
                            .commit = yaml_.require(root, "commit").text,
                            .held_out = yaml_.text_of(root, "held_out"),
                            .spaces = {},
                            .families = {}};
    for (const YamlNode& space : yaml_.require(root, "spaces").items)
      calibration.spaces.push_back(yaml_.text_of(space));
    const YamlNode& families = yaml_.require(root, "families");
    yaml_.check_keys(families, kFamilyNames);
    for (const auto& [name, node] : families.fields) calibration.families[name] = read_family(node);
    return calibration;
  }

 private:
  double number(const YamlNode& map, std::string_view key, double least, double most) const {
    const YamlNode& node = yaml_.require(map, key);
    double value = 0;
    const auto [end, error] = std::from_chars(node.text.data(), node.text.data() + node.text.size(), value);
    const bool whole = error == std::errc{} && end == node.text.data() + node.text.size() && std::isfinite(value);
    if (!whole || value < least || value > most)
      yaml_.fail_at(node, fmt::format("{}: '{}' is no number from {} to {}", key, printable(node.text), least, most));
    return value;
  }

  FamilyCalibration read_family(const YamlNode& node) const {
    constexpr std::string_view kFamilyKeys[] = {"factors", "held_out_error"};
    constexpr double kMostError = 1e6, kMostCount = 1e9;
    yaml_.check_keys(node, kFamilyKeys);
    FamilyCalibration family;
    const YamlNode& factors = yaml_.require(node, "factors");
    yaml_.check_keys(factors, factor_names());
    for (const CostFactorField& field : kCostFactorFields)
      family.factors.*field.member =
          number(factors, field.name, field.name == "overlap" ? kLeastOverlap : kLeastFactor, kMostFactor);
    const YamlNode& error = yaml_.require(node, "held_out_error");
    yaml_.check_keys(error, kErrorKeys);
    family.held_out = {.median = number(error, "median", 0, kMostError),
                       .p90 = number(error, "p90", 0, kMostError),
                       .rank_correlation = number(error, "rank_correlation", -1, 1),
                       .spaces = static_cast<int>(number(error, "spaces", 0, kMostCount)),
                       .candidates = static_cast<int>(number(error, "candidates", 0, kMostCount))};
    return family;
  }

  YamlFields yaml_;
};

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
