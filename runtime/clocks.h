// Clocks, temperature, power and power mode: from sysfs on a Jetson. A discrete GPU answers through
// runtime/cuda/nvml.h.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "runtime/device_state.h"

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

// Never throws: what cannot be read stays unknown. `root` stands for "/" in the tests.
ClockReading read_jetson_clocks(const std::filesystem::path& root = "/");
// What of it may change from one round of samples to the next; no rails, which cost a transfer on a slow bus each.
DeviceState read_jetson_state(const std::filesystem::path& root = "/");

}  // namespace duet
