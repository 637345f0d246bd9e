// The device at hand as the cost model sees it.
#pragma once

#include "codegen/device_spec.h"
#include "runtime/device.h"

namespace duet {

// Limits and clocks as the driver gives them; peaks from the architecture's operations per clock and SM. Fields that
// the driver does not give keep DeviceSpec's defaults.
DeviceSpec live_device_spec(const DeviceInfo& info);

}  // namespace duet
