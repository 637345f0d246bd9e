// Search spaces (schedules/*.yaml): the ranges of every tunable parameter, by kernel family.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace duet {

struct SearchSpace {
  std::string name;
  // ranges["gemm"]["block_m"] = {16, 32, 64, 128}
  std::map<std::string, std::map<std::string, std::vector<int>>> ranges;
};

// Throws Error(input) with file and line: unknown family or parameter, a value that is no positive integer, a space
// of more than a million combinations in one family.
SearchSpace load_search_space(const std::filesystem::path& path);

}  // namespace duet
