// Which board this is: what its files and its GPU say together, and what they leave open.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace duet {

// Empty and 0 mean unknown.
struct Board {
  bool jetson = false;
  std::string model{};       // the developer kit's or carrier's own name
  std::string module{};      // "Jetson Orin NX 16GB"; the model's text where the module is not known
  std::string device{};      // the module's file in devices/: "jetson-orin-nx-16gb"
  std::string power_mode{};  // "MAXN", "15W"
  int sm_count = 0;          // of the GPU, as the driver counts
  int max_sm_clock_mhz = 0;
  std::int64_t memory_bytes = 0;
  std::vector<std::string> unknown{};         // "power mode: var/lib/nvpmodel/status is absent"
  std::vector<std::string> contradictions{};  // "p3767-0001 has 8 SMs and the GPU has 16"

  bool operator==(const Board&) const = default;
};

// Reads device tree, memory size, power mode and clocks under `root`. `live_sm_count` is the driver's, 0 where there is
// none; it wins over what the table of modules says. Never throws.
Board recognise_board(const std::filesystem::path& root = "/", int live_sm_count = 0);

}  // namespace duet
