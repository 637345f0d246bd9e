// What `duet tune` says of SMs for each tower when it has not tried them.
#pragma once

#include <string>

#include "runtime/device.h"
#include "runtime/plan.h"

namespace duet {

// The line that says how to try them; empty where that is no use: the plan's towers do not run on streams, the device
// does not measure, or its SMs cannot be divided or are too few.
std::string divide_hint(const Plan& plan, const DeviceInfo& device);

}  // namespace duet
