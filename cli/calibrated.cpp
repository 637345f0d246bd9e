#include "cli/calibrated.h"

#include <filesystem>

#include "cli/data_files.h"

namespace duet {

std::shared_ptr<const Calibration> chosen_calibration(const std::string& asked, const std::string& arch) {
  if (asked == kNoCalibration) return nullptr;
  std::filesystem::path file = asked;
  if (asked == kShippedCalibration) {
    file = find_calibration(data_dir() / "calibration", arch);
    if (file.empty()) return nullptr;
  }
  return std::make_shared<const Calibration>(load_calibration(file));
}

DeviceSpec calibrated(DeviceSpec spec) {
  spec.calibration = chosen_calibration(kShippedCalibration, spec.arch);
  return spec;
}

}  // namespace duet
