// The calibration of the cost model that ships, for a device that is about to be predicted.
#pragma once

#include "codegen/device_spec.h"

namespace duet {

// `spec` with the calibration of its architecture (calibration/ of the data folder), or without one where none ships.
DeviceSpec calibrated(DeviceSpec spec);

}  // namespace duet
