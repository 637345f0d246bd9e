#include "tuner/nvrtc_support.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "codegen/device_spec.h"

namespace duet {
namespace {

constexpr int kOldestForKernels = 80;  // mma.sync m16n8k16, ldmatrix and cp.async
constexpr int kThor = 110;             // sm_101 up to CUDA 12.9

std::string_view jetpack_of(int arch) {
  if (arch == 53 || arch == 62) return "JetPack 4 (CUDA 10.2)";
  if (arch == 72) return "JetPack 5 (CUDA 11.4)";
  return {};
}

std::string list_of(std::span<const int> known) {
  std::string text;
  for (const int arch : known) text += fmt::format("{}sm_{}", text.empty() ? "" : ", ", arch);
  return text;
}

}  // namespace

std::string why_too_old(std::string_view arch) {
  const std::string_view jetpack = jetpack_of(arch_number(arch));
  if (jetpack.empty()) return {};
  return fmt::format(
      "{} is compiled for by the NVRTC of {} alone, and Duet's kernels need sm_{} or newer; `duet check` prints its "
      "floors",
      arch, jetpack, kOldestForKernels);
}

std::string why_unsupported(std::string_view arch, NvrtcVersion version, std::span<const int> known) {
  if (std::string old = why_too_old(arch); !old.empty()) return old;
  const int number = arch_number(arch);
  if (known.empty() || std::find(known.begin(), known.end(), number) != known.end()) return {};
  const std::string name = fmt::format("NVRTC {}.{}", version.major, version.minor);
  if (number == kThor && version.major < 13)
    return fmt::format(
        "{} does not compile for {}: Thor has this name from CUDA 13 on (sm_101 before), and its drivers are of CUDA "
        "13; "
        "use NVRTC 13",
        name, arch);
  return fmt::format("{} does not compile for {}; it knows {}", name, arch, list_of(known));
}

}  // namespace duet
