// CUPTI opened at run time: the table of its functions, and the search for the library itself.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "profile/cupti_abi.h"

namespace duet {

// The library stays loaded until the process ends: it has hooked into the driver.
struct CuptiLibrary {
  std::filesystem::path path;
  std::uint32_t version = 0;  // as cuptiGetVersion gives it: 130001 is of CUDA 13.0, 28 of CUDA 12.9
  cupti::Result (*get_version)(std::uint32_t* version) = nullptr;
  cupti::Result (*get_result_string)(cupti::Result result, const char** text) = nullptr;
  cupti::Result (*register_callbacks)(cupti::BufferRequested requested, cupti::BufferCompleted completed) = nullptr;
  cupti::Result (*enable)(std::uint32_t kind) = nullptr;
  cupti::Result (*disable)(std::uint32_t kind) = nullptr;
  cupti::Result (*flush_all)(std::uint32_t flag) = nullptr;
  cupti::Result (*get_next_record)(std::uint8_t* buffer, std::size_t valid_bytes, void** record) = nullptr;
  cupti::Result (*get_dropped)(CUcontext context, std::uint32_t stream_id, std::size_t* dropped) = nullptr;

  int cuda_major() const;
  // "CUPTI_ERROR_NOT_INITIALIZED"
  std::string error_text(cupti::Result result) const;
  // Throws Error(missing) with the next step when this user may not trace or another profiler does, Error(device)
  // naming the call otherwise; nothing on success.
  void check(cupti::Result result, const char* call) const;

  // The newest library whose CUDA major is not above the driver's. $DUET_CUPTI, when set, is the path of the only one
  // tried. Throws Error(missing) saying how to get one.
  static std::shared_ptr<const CuptiLibrary> open(int driver_major);
  // This one. Throws Error(missing) when it does not open or is no CUPTI.
  static std::shared_ptr<const CuptiLibrary> open_file(const std::filesystem::path& path);
};

// Where a library is looked for, newest CUDA major first: the toolkits of $CUDA_HOME and $CUDA_PATH, those under
// /usr/local, the Python wheels of `repo_root`/.deps and of site-packages, and last the loader's own path.
std::vector<std::filesystem::path> cupti_candidates(const std::filesystem::path& repo_root);

}  // namespace duet
