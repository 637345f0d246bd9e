// How the blocks of kernels that start early come to lie on the SMs. A launch's blocks are placed while those of the
// launch before still run. Where both do not fit an SM together, all go to SMs that have none of the launch before, as
// many as fit, and the kernel takes as long as the fullest SM, while others stay empty.
#pragma once

#include "codegen/device_spec.h"
#include "runtime/plan.h"

namespace duet {

// Whether kernels of such a device may start early at all.
bool starts_kernels_early(const DeviceSpec& device);

// The plan with kernels that do not fit an SM beside the launch before them on their stream asking for so much shared
// memory that an SM takes no more than its part of their blocks: the others wait until the launch before leaves.
Plan spread_blocks(Plan plan, const DeviceSpec& device);

}  // namespace duet
