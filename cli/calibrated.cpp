#include "cli/calibrated.h"

#include <filesystem>
#include <memory>

#include "cli/data_files.h"
#include "codegen/calibration.h"

namespace duet {

DeviceSpec calibrated(DeviceSpec spec) {
  const std::filesystem::path file = find_calibration(data_dir() / "calibration", spec.arch);
  if (!file.empty()) spec.calibration = std::make_shared<const Calibration>(load_calibration(file));
  return spec;
}

}  // namespace duet
