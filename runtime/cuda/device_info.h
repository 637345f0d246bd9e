// What a GPU is: its fingerprint and limits, and its clocks at this moment.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "runtime/clocks.h"
#include "runtime/cuda/context.h"
#include "runtime/device.h"

namespace duet {

DeviceInfo query_device_info(const CudaContext& context);
// From sysfs on a Jetson, through NVML elsewhere.
ClockReading read_clocks(const CudaContext& context);
// Reads them again at each call, and quickly; null where nothing can be told. `info`: of this context.
std::function<DeviceState()> open_state_reader(const CudaContext& context, const DeviceInfo& info);
// NVML's counter, or a Jetson's rails (rail_energy.h). Null where neither can be read.
std::unique_ptr<EnergyCounter> open_energy_counter(const CudaContext& context);
// "NVIDIA H100 80GB HBM3 (sm_90, 132 SMs), CUDA driver 13.0, SM clock 1980 of 1980 MHz, ..., 2026-01-31T12:00:00Z"
std::string describe_environment(const DeviceInfo& info, const ClockReading& clocks);

}  // namespace duet
