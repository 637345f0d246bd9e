// A target by name: the GPU here (`auto`), a slice of it (`auto/16sm`), the emulator, or a device described in
// devices/*.yaml.
#pragma once

#include <memory>
#include <string>

#include "codegen/device_spec.h"
#include "runtime/device.h"
#include "tuner/kernel_compiler.h"

namespace duet {

struct Target {
  std::string name;
  DeviceSpec spec;
  std::unique_ptr<KernelCompiler> compiler;  // null for the emulator, which compiles for itself
  std::unique_ptr<Device> device;            // null for a device that is not here
};

inline constexpr const char* kTargetHelp =
    "auto (the GPU here), auto/16sm (16 of its SMs), emulator, or a device of devices/ such as jetson-orin-nx-16gb@25W";

inline constexpr const char* kHogHelp =
    "With a slice (auto/16sm): GB/s of memory bandwidth to leave to it, other SMs stream the rest away; 0: all";

// Where candidates run, and how long each may take.
struct Isolation {
  bool processes = false;    // in worker processes, as the compiler; else in this one
  double timeout_s = 0;      // of a launch or a measurement's round; 0: kGpuTimeoutS, or kEmulatorTimeoutS
  bool obey_faults = false;  // workers do as planted faults say (tuner/fault_drill.h)
};
inline constexpr double kGpuTimeoutS = 10, kEmulatorTimeoutS = 120;

// Throws Error(missing) when the machine lacks what the target needs (driver, NVRTC, host compiler), naming what still
// works. `hog_gbps`: the memory bandwidth to leave to a slice (tuner/memory_hog.h); 0: all. Throws Error(usage) for
// another target with it.
Target open_target(const std::string& name, const Isolation& isolation = {}, double hog_gbps = 0);
// The device alone, in this process. `timeout_s`: of a launch in the emulator; 0: kEmulatorTimeoutS. Throws
// Error(missing) as open_target, and for a target that is not here.
std::unique_ptr<Device> open_device(const std::string& name, double timeout_s);

}  // namespace duet
