// A launch's shape as the driver takes it.
#pragma once

#include "runtime/cuda/driver.h"
#include "runtime/device.h"

namespace duet {

// Without attributes.
inline CUlaunchConfig launch_config(const Launch& launch, CUstream stream) {
  const auto as_unsigned = [](int value) { return static_cast<unsigned int>(value); };
  CUlaunchConfig config{};
  config.gridDimX = as_unsigned(launch.grid.x);
  config.gridDimY = as_unsigned(launch.grid.y);
  config.gridDimZ = as_unsigned(launch.grid.z);
  config.blockDimX = as_unsigned(launch.threads);
  config.blockDimY = config.blockDimZ = 1;
  config.sharedMemBytes = as_unsigned(launch.smem_bytes);
  config.hStream = stream;
  return config;
}

}  // namespace duet
