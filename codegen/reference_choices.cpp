#include "codegen/reference_choices.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/one_line.h"
#include "codegen/candidate.h"
#include "codegen/kernel_spec.h"
#include "codegen/parse_problem.h"
#include "codegen/tile_text.h"
#include "codegen/yaml_fields.h"

namespace duet {
namespace {

constexpr std::uint64_t kMaxFileBytes = 1 << 20;
constexpr int kMaxSms = 10'000;
constexpr std::string_view kKeys[] = {"duet_choices", "arch", "sm_count", "from", "choices"};
constexpr std::string_view kChoiceKeys[] = {"problem", "tile"};

class ChoicesFile {
 public:
  ChoicesFile(std::string file, std::string_view text)
      : yaml_(std::move(file), text, "write the file with `duet plans why --reference`") {}

  ReferenceChoices read() const {
    const YamlNode& root = yaml_.root();
    yaml_.check_keys(root, kKeys);
    yaml_.check_version("duet_choices");
    ReferenceChoices all{.arch = yaml_.text_of(root, "arch"),
                         .sm_count = sms_of(yaml_.require(root, "sm_count")),
                         .from = yaml_.text_of(root, "from"),
                         .choices = {}};
    const YamlNode& list = yaml_.require(root, "choices");
    if (list.kind != YamlNode::Kind::sequence)
      yaml_.fail_at(list, "a list of problems and their tiles is expected here");
    for (const YamlNode& item : list.items) all.choices.push_back(choice_of(item));
    return all;
  }

 private:
  int sms_of(const YamlNode& node) const {
    int value = 0;
    const auto [end, error] = std::from_chars(node.text.data(), node.text.data() + node.text.size(), value);
    if (error != std::errc{} || end != node.text.data() + node.text.size() || value < 1 || value > kMaxSms)
      yaml_.fail_at(node, fmt::format("sm_count: '{}' is no whole number from 1 to {}", printable(node.text), kMaxSms));
    return value;
  }
  // Both must be what this Duet knows: a typing error would otherwise never be preferred, and nobody be told.
  ReferenceChoice choice_of(const YamlNode& item) const {
    yaml_.check_keys(item, kChoiceKeys);
    ReferenceChoice choice{.problem = yaml_.text_of(item, "problem"), .tile = yaml_.text_of(item, "tile")};
    try {
      choice.tile = config_text(parse_tile(family_name(parse_problem(choice.problem)), choice.tile));
    } catch (const Error& error) {
      yaml_.fail_at(item, error.what());
    }
    return choice;
  }

  YamlFields yaml_;
};

}  // namespace

ReferenceChoices parse_reference_choices(std::string file, std::string_view text) {
  return ChoicesFile(std::move(file), text).read();
}

std::string reference_choices_yaml(const ReferenceChoices& all) {
  std::string text = fmt::format(
      "# Written by `duet plans why --reference`: docs/tuning.md says what it is for.\n"
      "duet_choices: 1\narch: {}\nsm_count: {}\nfrom: {}\nchoices:\n",
      all.arch, all.sm_count, yaml_string(all.from));
  for (const ReferenceChoice& choice : all.choices)
    text += fmt::format("  - problem: {}\n    tile: {}\n", yaml_string(choice.problem), yaml_string(choice.tile));
  return text;
}

std::vector<ReferenceChoice> find_reference_choices(const std::filesystem::path& directory, std::string_view arch,
                                                    int sm_count) {
  std::vector<std::filesystem::path> files;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(directory, none))
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<ReferenceChoice> found;
  for (const std::filesystem::path& file : files) {
    const ReferenceChoices all = parse_reference_choices(file.string(), read_text_file(file, kMaxFileBytes));
    if (all.arch == arch && all.sm_count == sm_count) found.insert(found.end(), all.choices.begin(), all.choices.end());
  }
  return found;
}

}  // namespace duet
