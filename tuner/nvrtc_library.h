// NVRTC opened at run time: the table of its functions, and the search for the library itself.
#pragma once

#include <nvrtc.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tuner/nvrtc_support.h"

namespace duet {

// The functions the compiler uses. The library stays loaded until the process ends: it keeps thread-local state that
// outlives any caller.
struct NvrtcLibrary {
  std::filesystem::path path;
  NvrtcVersion version;
  std::vector<int> architectures;  // 75, 80, 87: what it compiles for; empty when it cannot say
  decltype(&::nvrtcGetErrorString) get_error_string = nullptr;
  decltype(&::nvrtcVersion) get_version = nullptr;
  decltype(&::nvrtcCreateProgram) create_program = nullptr;
  decltype(&::nvrtcDestroyProgram) destroy_program = nullptr;
  decltype(&::nvrtcCompileProgram) compile_program = nullptr;
  decltype(&::nvrtcGetCUBINSize) get_cubin_size = nullptr;
  decltype(&::nvrtcGetCUBIN) get_cubin = nullptr;
  decltype(&::nvrtcGetProgramLogSize) get_program_log_size = nullptr;
  decltype(&::nvrtcGetProgramLog) get_program_log = nullptr;

  // The newest library whose CUDA major is not above `max_major`: an older driver refuses a newer compiler's images.
  // $DUET_NVRTC, when set, is the path of the only one tried, or a CUDA major that it must not be above either.
  // Throws Error(missing) saying how to get one.
  static std::shared_ptr<const NvrtcLibrary> open(std::optional<int> max_major);
};

// Where a library is looked for, in order: toolkits under /usr/local, the Python wheels of `repo_root`/.deps and of
// the site-packages folders on this machine, and last the loader's own path (a bare name).
std::vector<std::filesystem::path> nvrtc_candidates(const std::filesystem::path& repo_root);

// The newest library of each CUDA major on this machine, the newest major first. Opens them all: slow.
std::vector<std::shared_ptr<const NvrtcLibrary>> find_all_nvrtc();

}  // namespace duet
