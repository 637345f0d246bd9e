#include "tuner/nvrtc_library.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "base/log.h"
#include "runtime/cuda/function_table.h"
#include "runtime/cuda/library_search.h"

namespace duet {
namespace {

namespace fs = std::filesystem;

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

std::shared_ptr<const NvrtcLibrary> open_library(const fs::path& path, std::string& reason) {
  return open_table<NvrtcLibrary>(path, "NVRTC", reason, [](void* handle, NvrtcLibrary& library) {
    if (!resolve_all(handle, library) ||
        library.get_version(&library.version.major, &library.version.minor) != NVRTC_SUCCESS)
      return false;
    library.architectures = known_architectures(handle);
    return true;
  });
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

}  // namespace

std::vector<fs::path> nvrtc_candidates(const fs::path& repo_root) {
  return find_library_files(cuda_library_folders(repo_root), "libnvrtc");
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
    const std::optional<int> major = cuda_major_in_name(path);
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
