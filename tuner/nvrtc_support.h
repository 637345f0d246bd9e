// Which architectures a compiler takes, and what to do for one that it does not.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace duet {

struct NvrtcVersion {
  int major = 0;
  int minor = 0;
};

// Why nothing can be compiled for this architecture ("sm_87") by any NVRTC that Duet works with: the modules before
// Orin, with the JetPack whose NVRTC they need. Empty when there is no such reason.
std::string why_too_old(std::string_view arch);
// Why this NVRTC does not compile for it, with the next step; empty when it does. `known` are the numbers of the
// architectures it names itself (75, 80, 87), empty when it cannot say.
std::string why_unsupported(std::string_view arch, NvrtcVersion version, std::span<const int> known);

}  // namespace duet
