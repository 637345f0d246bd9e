// The golden files of this folder (scripts/make-frontend-goldens).
#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace duet {

inline std::filesystem::path golden_path(const std::string& name) {
  return std::filesystem::path(DUET_SOURCE_DIR) / "tests" / "frontend" / "golden" / name;
}

inline nlohmann::json golden_json(const std::string& name) {
  return nlohmann::json::parse(std::ifstream(golden_path(name)));
}

inline std::vector<std::string> golden_lines(const std::string& name) {
  std::ifstream file(golden_path(name));
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

}  // namespace duet
