#include "cli/data_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/error.h"

namespace duet {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> places() {
  std::vector<fs::path> found;
  if (const char* set = std::getenv("DUET_DATA"); set != nullptr && *set != '\0') found.emplace_back(set);
  std::error_code error;
  const fs::path executable = fs::read_symlink("/proc/self/exe", error);
  if (!error) {
    const fs::path prefix = executable.parent_path().parent_path();
    found.push_back(prefix / "share" / "duet");
    found.push_back(prefix.parent_path());  // <source>/build/bin/duet
  }
  found.push_back(fs::current_path(error));
  return found;
}

fs::path search_data_dir() {
  std::string tried;
  for (const fs::path& place : places()) {
    if (fs::is_directory(place / "graphs") && fs::is_directory(place / "devices")) return place;
    tried += (tried.empty() ? "" : ", ") + place.string();
  }
  fail(ErrorKind::missing,
       "the folders graphs/ and devices/ are in none of {}; set DUET_DATA to the folder that has them", tried);
}

std::string shipped_names(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

const fs::path& data_dir() {
  static const fs::path directory = search_data_dir();
  return directory;
}

fs::path find_data_file(std::string_view kind, std::string_view name_or_path) {
  const fs::path given(name_or_path);
  if (given.has_extension() || given.has_parent_path()) return given;
  const fs::path folder = data_dir() / kind;
  const fs::path shipped = folder / fmt::format("{}.yaml", name_or_path);
  if (fs::exists(shipped)) return shipped;
  fail(ErrorKind::usage, "there is no '{}' among {}: {}; or give the path of a YAML file", name_or_path, kind,
       shipped_names(folder));
}

}  // namespace duet
