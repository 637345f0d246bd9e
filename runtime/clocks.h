// Clocks, temperature, power and power mode: from sysfs on a Jetson. A discrete GPU answers through
// runtime/cuda/nvml.h.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace duet {

struct PowerRail {
  std::string name;  // "VDD_IN", "VDD_GPU_SOC"
  double watts = 0;
};

// What is known at this moment; 0 and empty mean unknown.
struct ClockReading {
  int sm_clock_mhz = 0;
  int max_sm_clock_mhz = 0;  // in this power mode
  int memory_clock_mhz = 0;
  int max_memory_clock_mhz = 0;
  std::optional<double> temperature_c;
  std::vector<PowerRail> rails;
  std::string power_mode;  // "MAXN", "30W"; the enforced limit ("700 W") of a discrete GPU
};

// The module ("Jetson Orin NX 16GB"), the board's own name when the module is not known; none when this is no Jetson.
// `root` stands for "/" in the tests, here and below.
std::optional<std::string> jetson_module(const std::filesystem::path& root = "/");
// Never throws: what cannot be read stays unknown.
ClockReading read_jetson_clocks(const std::filesystem::path& root = "/");

}  // namespace duet
