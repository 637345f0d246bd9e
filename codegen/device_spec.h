// A device as the candidates and the cost model see it: from devices/*.yaml for an absent one, from the driver for the
// one here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace duet {

struct Calibration;

// How well a value is known.
enum class Confidence { seen, remembered };  // `s` from a vendor file or a query; `r` from memory, to be confirmed

struct DeviceSpec {
  std::string name;    // "jetson-orin-nx-16gb"
  std::string module;  // "Jetson Orin NX 16GB"
  std::string power_mode;
  std::string arch;  // "sm_87"
  int sm_count = 0;
  int sm_clock_mhz = 0;
  double memory_gbps = 0;
  std::int64_t l2_bytes = 0;
  double fp16_tflops = 0;  // dense tensor-core peak with fp32 accumulation at sm_clock_mhz
  double fp32_tflops = 0;
  int smem_bytes_per_block = 0;  // by opt-in
  int smem_bytes_per_sm = 0;
  int registers_per_sm = 65536;
  int threads_per_sm = 1536;
  int blocks_per_sm = 16;
  double launch_us = 2.0;                          // per kernel inside a CUDA graph
  std::map<std::string, Confidence> confidence;    // by field name
  std::shared_ptr<const Calibration> calibration;  // of the cost model (codegen/calibration.h); null: none
};

// 87 of "sm_87", 90 of "sm_90a"; 0 when malformed.
int arch_number(std::string_view arch);

// Throws Error(input) with file and line. `name` may carry a mode: "jetson-orin-nx-16gb@25W"; without one, the file's
// default mode. `directory` is devices/.
DeviceSpec load_device(const std::filesystem::path& directory, std::string_view name);
// One for each power mode of a device's file, in its order. `name` carries no mode.
std::vector<DeviceSpec> load_device_modes(const std::filesystem::path& directory, std::string_view name);
std::vector<std::string> list_devices(const std::filesystem::path& directory);

}  // namespace duet
