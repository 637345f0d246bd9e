// The power rails of a Jetson, as the ina3221 monitors beside its module show them in sysfs.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace duet {

// One channel of a monitor: in1_label, in1_input, curr1_input.
struct RailFiles {
  std::string name;  // "VDD_IN", "VDD_GPU_SOC"
  std::filesystem::path millivolts, milliamperes;
};

// Every connected channel, each once. `root` stands for "/" in the tests.
std::vector<RailFiles> find_power_rails(const std::filesystem::path& root = "/");
// None where it cannot be read now.
std::optional<double> read_watts(const RailFiles& rail);
// Those of them whose powers add up to the module's: its input rail alone where that has a monitor (VDD_IN of Orin NX
// and Nano), else all that no other one of them feeds (AGX Orin: VDD_GPU_SOC, VDD_CPU_CV, VIN_SYS_5V0).
std::vector<RailFiles> module_rails(const std::vector<RailFiles>& rails);

}  // namespace duet
