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

// Throws Error(missing) when the machine lacks what the target needs (driver, NVRTC, host compiler), naming what still
// works.
Target open_target(const std::string& name);

}  // namespace duet
