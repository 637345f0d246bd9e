#include "tuner/nvrtc_library.h"

#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "base/log.h"

namespace duet {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 3> kNames = {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"};

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

std::vector<fs::path> library_folders(const fs::path& repo_root) {
  std::vector<fs::path> found;
  for (const fs::path& toolkit : folders("/usr/local", "cuda")) {
    found.push_back(toolkit / "lib64");
    found.push_back(toolkit / "lib");
    for (const fs::path& target : folders(toolkit / "targets", "")) found.push_back(target / "lib");
  }
  add_library_folders_of_wheels(repo_root / ".deps", found);
  for (const fs::path& packages : site_packages()) add_library_folders_of_wheels(packages, found);
  return found;
}

// From the file's name: libnvrtc.so.13 -> 13; none for libnvrtc.so.
std::optional<int> major_in_name(const fs::path& path) {
  const std::string name = path.filename().string();
  constexpr std::string_view kPrefix = "libnvrtc.so.";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  int major = 0;
  const auto result = std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), major);
  return result.ec == std::errc() ? std::optional<int>(major) : std::nullopt;
}

template <typename Function>
bool resolve(void* handle, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(handle, name));
  return function != nullptr;
}

bool resolve_all(void* handle, NvrtcLibrary& library) {
  return resolve(handle, "nvrtcGetErrorString", library.get_error_string) &&
         resolve(handle, "nvrtcVersion", library.get_version) &&
         resolve(handle, "nvrtcCreateProgram", library.create_program) &&
         resolve(handle, "nvrtcDestroyProgram", library.destroy_program) &&
         resolve(handle, "nvrtcCompileProgram", library.compile_program) &&
         resolve(handle, "nvrtcGetCUBINSize", library.get_cubin_size) &&
         resolve(handle, "nvrtcGetCUBIN", library.get_cubin) &&
         resolve(handle, "nvrtcGetProgramLogSize", library.get_program_log_size) &&
         resolve(handle, "nvrtcGetProgramLog", library.get_program_log);
}

// The functions are younger than NVRTC itself: without them the library cannot say.
std::vector<int> known_architectures(void* handle) {
  decltype(&::nvrtcGetNumSupportedArchs) count_of = nullptr;
  decltype(&::nvrtcGetSupportedArchs) list = nullptr;
  int count = 0;
  if (!resolve(handle, "nvrtcGetNumSupportedArchs", count_of) || !resolve(handle, "nvrtcGetSupportedArchs", list) ||
      count_of(&count) != NVRTC_SUCCESS || count <= 0)
    return {};
  std::vector<int> architectures(static_cast<std::size_t>(count));
  return list(architectures.data()) == NVRTC_SUCCESS ? architectures : std::vector<int>{};
}

// Null, with the reason, when it does not open or is no NVRTC.
std::shared_ptr<const NvrtcLibrary> open_library(const fs::path& path, std::string& reason) {
  void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* text = ::dlerror();
    reason = text != nullptr ? text : "dlopen failed";
    return nullptr;
  }
  auto library = std::make_shared<NvrtcLibrary>();
  library->path = path;
  if (!resolve_all(handle, *library) ||
      library->get_version(&library->version.major, &library->version.minor) != NVRTC_SUCCESS) {
    reason = fmt::format("{} lacks functions of NVRTC", path.string());
    ::dlclose(handle);
    return nullptr;
  }
  library->architectures = known_architectures(handle);
  return library;
}

std::shared_ptr<const NvrtcLibrary> open_named(const fs::path& path, std::optional<int> max_major) {
  std::string reason;
  auto library = open_library(path, reason);
  if (!library)
    fail(ErrorKind::missing,
         "the NVRTC named by --nvrtc or DUET_NVRTC, {}, does not open: {}; name a libnvrtc.so or none", path.string(),
         reason);
  if (max_major && library->version.major > *max_major)
    fail(ErrorKind::missing,
         "NVRTC {}.{} ({}) is newer than the CUDA {} driver, which refuses its images; name an older one or none",
         library->version.major, library->version.minor, path.string(), *max_major);
  return library;
}

// "12" stands for any library of CUDA 12.
std::optional<int> as_major(std::string_view named) {
  int major = 0;
  const auto [end, error] = std::from_chars(named.data(), named.data() + named.size(), major);
  return error == std::errc() && end == named.data() + named.size() ? std::optional<int>(major) : std::nullopt;
}

// Newest first by name; those without a number in their name last, as they must be opened to know.
void sort_newest_first(std::vector<fs::path>& paths) {
  std::stable_sort(paths.begin(), paths.end(), [](const fs::path& a, const fs::path& b) {
    return major_in_name(a).value_or(0) > major_in_name(b).value_or(0);
  });
}

}  // namespace

std::vector<fs::path> nvrtc_candidates(const fs::path& repo_root) {
  std::vector<fs::path> found;
  for (const fs::path& folder : library_folders(repo_root)) {
    for (std::string_view name : kNames) {
      std::error_code ignored;
      if (fs::exists(folder / name, ignored)) found.push_back(folder / name);
    }
  }
  for (std::string_view name : kNames) found.emplace_back(name);
  return found;
}

std::shared_ptr<const NvrtcLibrary> NvrtcLibrary::open(std::optional<int> max_major) {
  if (const char* named = std::getenv("DUET_NVRTC"); named != nullptr && *named != '\0') {
    const std::optional<int> major = as_major(named);
    if (!major) return open_named(named, max_major);
    max_major = max_major ? std::min(*max_major, *major) : *major;
  }
  std::vector<fs::path> paths = nvrtc_candidates(DUET_REPOSITORY_DIR);
  sort_newest_first(paths);
  std::string too_new;
  for (const fs::path& path : paths) {
    const std::optional<int> major = major_in_name(path);
    if (max_major && major && *major > *max_major) continue;
    std::string reason;
    auto library = open_library(path, reason);
    if (!library) continue;
    if (!max_major || library->version.major <= *max_major) return library;
    too_new = path.string();
  }
  const std::string wanted = max_major ? fmt::format(" for CUDA {} or older", *max_major) : std::string();
  fail(ErrorKind::missing,
       "NVRTC{} was not found{}: install it with `pip install nvidia-cuda-nvrtc` (CUDA 12: nvidia-cuda-nvrtc-cu12) or "
       "name a libnvrtc.so with --nvrtc or DUET_NVRTC; "
       "checking graphs, the emulator and running stored plans work without it",
       wanted, too_new.empty() ? "" : fmt::format(" ({} is newer)", too_new));
}

std::vector<std::shared_ptr<const NvrtcLibrary>> find_all_nvrtc() {
  std::vector<std::shared_ptr<const NvrtcLibrary>> found;
  std::optional<int> max_major;
  try {
    do {
      found.push_back(NvrtcLibrary::open(max_major));
      max_major = found.back()->version.major - 1;
    } while (std::getenv("DUET_NVRTC") == nullptr);
  } catch (const Error&) {
    // No older one.
  }
  return found;
}

}  // namespace duet
