// Which of a kernel's images a GPU can run.
#pragma once

#include <string_view>

#include "runtime/plan.h"

namespace duet {

// The image of exactly this architecture ("sm_87"), else the newest one of the same major and a lower minor: code for
// sm_80 runs on sm_87, and never the other way round. Images of a compiler whose CUDA major is above `cuda_major` (the
// driver's) are passed over, as are arch-specific ones (sm_90a) unless exact. Of several that suit equally, the newest
// compiler's: a plan may hold images of CUDA 12 and 13 for JetPack 6 and 7.
// Throws Error(missing) naming the kernel and the architectures there are.
const KernelImage& choose_image(const PlanKernel& kernel, std::string_view arch, int cuda_major);

}  // namespace duet
