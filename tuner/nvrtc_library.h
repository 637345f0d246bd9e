// NVRTC opened at run time: the table of its functions, and the search for the library itself.
#pragma once

#include <nvrtc.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace duet {

struct NvrtcVersion {
  int major = 0;
  int minor = 0;
};

// The functions the compiler uses. The library stays loaded until the process ends: it keeps thread-local state that
// outlives any caller.
struct NvrtcLibrary {
  std::filesystem::path path;
  NvrtcVersion version;
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
  // $DUET_NVRTC, when set, is the only one tried. Throws Error(missing) saying how to get one.
  static std::shared_ptr<const NvrtcLibrary> open(std::optional<int> max_major);
};

// Where a library is looked for, in order: toolkits under /usr/local, the Python wheels of `repo_root`/.deps and of
// the site-packages folders on this machine, and last the loader's own path (a bare name).
std::vector<std::filesystem::path> nvrtc_candidates(const std::filesystem::path& repo_root);

}  // namespace duet
