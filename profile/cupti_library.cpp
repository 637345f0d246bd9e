#include "profile/cupti_library.h"

#include <cstdlib>
#include <optional>

#include "base/error.h"
#include "runtime/cuda/function_table.h"
#include "runtime/cuda/library_search.h"

namespace duet {
namespace {

namespace fs = std::filesystem;

bool resolve_all(void* handle, CuptiLibrary& library) {
  return resolve(handle, "cuptiGetVersion", library.get_version) &&
         resolve(handle, "cuptiGetResultString", library.get_result_string) &&
         resolve(handle, "cuptiActivityRegisterCallbacks", library.register_callbacks) &&
         resolve(handle, "cuptiActivityEnable", library.enable) &&
         resolve(handle, "cuptiActivityDisable", library.disable) &&
         resolve(handle, "cuptiActivityFlushAll", library.flush_all) &&
         resolve(handle, "cuptiActivityGetNextRecord", library.get_next_record) &&
         resolve(handle, "cuptiActivityGetNumDroppedRecords", library.get_dropped);
}

std::shared_ptr<const CuptiLibrary> try_open(const fs::path& path, std::string& reason) {
  return open_table<CuptiLibrary>(path, "CUPTI", reason, [](void* handle, CuptiLibrary& library) {
    return resolve_all(handle, library) && library.get_version(&library.version) == cupti::kSuccess;
  });
}

}  // namespace

// Since CUDA 13 the version is CUDA's; before, it counted.
int CuptiLibrary::cuda_major() const {
  constexpr std::uint32_t kFirstOfCuda12 = 18;
  if (version >= 130000) return static_cast<int>(version / 10000);
  return version >= kFirstOfCuda12 ? 12 : 11;
}

std::string CuptiLibrary::error_text(cupti::Result result) const {
  const char* text = nullptr;
  if (get_result_string(result, &text) != cupti::kSuccess || text == nullptr)
    return fmt::format("CUPTI error {}", result);
  return text;
}

void CuptiLibrary::check(cupti::Result result, const char* call) const {
  switch (result) {
    case cupti::kSuccess:
      return;
    case cupti::kInsufficientPrivileges:
    case cupti::kInsufficientPrivilegesOfVirtualGpu:
      fail(ErrorKind::missing,
           "this user may not trace kernels: {} gives {}; run as root, or load the NVIDIA driver with "
           "NVreg_RestrictProfilingToAdminUsers=0",
           call, error_text(result));
    case cupti::kOtherSubscriber:
      fail(ErrorKind::missing, "another profiler traces this process: {} gives {}; run `duet profile` without it", call,
           error_text(result));
    default:
      fail(ErrorKind::device, "{}: {} ({})", call, error_text(result), path.string());
  }
}

std::vector<fs::path> cupti_candidates(const fs::path& repo_root) {
  std::vector<fs::path> folders;
  const auto add = [&](const std::vector<fs::path>& more) { folders.insert(folders.end(), more.begin(), more.end()); };
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"}) {
    const char* toolkit = std::getenv(variable);
    if (toolkit != nullptr && *toolkit != '\0') add(toolkit_library_folders(toolkit));
  }
  add(cuda_library_folders(repo_root));
  std::vector<fs::path> found = find_library_files(folders, "libcupti");
  sort_newest_first(found);
  return found;
}

std::shared_ptr<const CuptiLibrary> CuptiLibrary::open_file(const fs::path& path) {
  std::string reason;
  auto library = try_open(path, reason);
  if (!library) {
    fail(ErrorKind::missing, "the CUPTI named by DUET_CUPTI, {}, does not open: {}; name a libcupti.so or none",
         path.string(), reason);
  }
  return library;
}

std::shared_ptr<const CuptiLibrary> CuptiLibrary::open(int driver_major) {
  if (const char* named = std::getenv("DUET_CUPTI"); named != nullptr && *named != '\0') return open_file(named);
  for (const fs::path& path : cupti_candidates(DUET_REPOSITORY_DIR)) {
    const std::optional<int> major = cuda_major_in_name(path);
    if (major && *major > driver_major) continue;
    std::string reason;
    const auto library = try_open(path, reason);
    if (library && library->cuda_major() <= driver_major) return library;
  }
  fail(ErrorKind::missing,
       "CUPTI for CUDA {} or older was not found: install it with `pip install nvidia-cuda-cupti` (CUDA 12: "
       "nvidia-cuda-cupti-cu12) or name a libcupti.so with DUET_CUPTI; `duet bench` times whole plans without it",
       driver_major);
}

}  // namespace duet
