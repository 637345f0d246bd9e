// The calibration of the cost model that predictions use: the one that ships, another, or none.
#pragma once

#include <memory>
#include <string>

#include "codegen/calibration.h"
#include "codegen/device_spec.h"

namespace duet {

inline constexpr const char* kShippedCalibration = "shipped";
inline constexpr const char* kNoCalibration = "none";

// `asked` names a file, or is "shipped": that of `arch` in calibration/ of the data folder. Null for "none" and where
// none ships: the formula alone. Throws Error(input) with file and line.
std::shared_ptr<const Calibration> chosen_calibration(const std::string& asked, const std::string& arch);

// `spec` with the calibration that ships for its architecture.
DeviceSpec calibrated(DeviceSpec spec);

}  // namespace duet
