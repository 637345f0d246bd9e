#include "runtime/cuda/library_search.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <string>

namespace duet {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 3> kEndings = {".so.13", ".so.12", ".so"};

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

// The sub-folders of `directory` whose name starts with `prefix`, in descending order: cuda-13.0 before cuda-12.9.
std::vector<fs::path> folders(const fs::path& directory, std::string_view prefix) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    if (entry->path().filename().string().starts_with(prefix) && is_folder(entry->path()))
      found.push_back(entry->path());
  }
  std::sort(found.rbegin(), found.rend());
  return found;
}

void add_library_folders_of_wheels(const fs::path& packages, std::vector<fs::path>& folders_found) {
  for (const fs::path& package : folders(packages / "nvidia", "")) {
    folders_found.push_back(package / "lib");
    for (const fs::path& inner : folders(package, "")) folders_found.push_back(inner / "lib");
  }
}

std::vector<fs::path> site_packages() {
  std::vector<fs::path> found;
  std::vector<fs::path> roots = {"/usr/local/lib", "/usr/lib"};
  if (const char* environment = std::getenv("VIRTUAL_ENV")) roots.insert(roots.begin(), fs::path(environment) / "lib");
  if (const char* home = std::getenv("HOME")) roots.push_back(fs::path(home) / ".local" / "lib");
  for (const fs::path& root : roots) {
    for (const fs::path& python : folders(root, "python3")) {
      found.push_back(python / "site-packages");
      found.push_back(python / "dist-packages");
    }
  }
  return found;
}

}  // namespace

std::vector<fs::path> toolkit_library_folders(const fs::path& toolkit) {
  std::vector<fs::path> found = {toolkit / "lib64", toolkit / "lib"};
  for (const fs::path& target : folders(toolkit / "targets", "")) found.push_back(target / "lib");
  found.push_back(toolkit / "extras" / "CUPTI" / "lib64");
  return found;
}

std::vector<fs::path> cuda_library_folders(const fs::path& repo_root) {
  std::vector<fs::path> found;
  for (const fs::path& toolkit : folders("/usr/local", "cuda")) {
    const std::vector<fs::path> inside = toolkit_library_folders(toolkit);
    found.insert(found.end(), inside.begin(), inside.end());
  }
  add_library_folders_of_wheels(repo_root / ".deps", found);
  for (const fs::path& packages : site_packages()) add_library_folders_of_wheels(packages, found);
  return found;
}

std::vector<fs::path> find_library_files(std::span<const fs::path> folders_given, std::string_view stem) {
  std::vector<fs::path> found;
  const auto named = [&](std::string_view ending) { return std::string(stem) + std::string(ending); };
  for (const fs::path& folder : folders_given) {
    for (std::string_view ending : kEndings) {
      std::error_code ignored;
      if (fs::exists(folder / named(ending), ignored)) found.push_back(folder / named(ending));
    }
  }
  for (std::string_view ending : kEndings) found.emplace_back(named(ending));
  return found;
}

std::optional<int> cuda_major_in_name(const fs::path& library) {
  const std::string name = library.filename().string();
  constexpr std::string_view kBeforeMajor = ".so.";
  const std::size_t at = name.find(kBeforeMajor);
  if (at == std::string::npos) return std::nullopt;
  int major = 0;
  const auto result = std::from_chars(name.data() + at + kBeforeMajor.size(), name.data() + name.size(), major);
  return result.ec == std::errc() ? std::optional<int>(major) : std::nullopt;
}

void sort_newest_first(std::vector<fs::path>& libraries) {
  std::stable_sort(libraries.begin(), libraries.end(), [](const fs::path& a, const fs::path& b) {
    return cuda_major_in_name(a).value_or(0) > cuda_major_in_name(b).value_or(0);
  });
}

}  // namespace duet
