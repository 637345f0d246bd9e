// What was chosen before on a device of a kind, as text that ships: tried first, and taken where it is a tie with what
// is fastest today, so that two fresh runs on such devices choose alike. Kept as YAML in choices/, one file a plan,
// written by `duet plans why --reference`.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace duet {

struct ReferenceChoice {
  std::string problem;  // problem_text
  std::string tile;     // config_text
};

struct ReferenceChoices {
  std::string arch;  // "sm_90"
  int sm_count = 0;
  std::string from;  // the plan, for people: "clip-vit-b32, batch 1, f16, NVIDIA H100 80GB HBM3"
  std::vector<ReferenceChoice> choices;
};

// Throws Error(input) with file and line: another version, an unknown key, one missing, a tile of no family.
ReferenceChoices parse_reference_choices(std::string file, std::string_view text);
std::string reference_choices_yaml(const ReferenceChoices& choices);

// Of all files of the folder that are for this architecture and number of SMs, in the order of their names; none where
// there is no such folder.
std::vector<ReferenceChoice> find_reference_choices(const std::filesystem::path& directory, std::string_view arch,
                                                    int sm_count);

}  // namespace duet
