// Clocks, temperature, power and energy of a discrete GPU through NVML, opened at run time.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "runtime/clocks.h"
#include "runtime/energy.h"

namespace duet {

// `pci_bus_id` as cuDeviceGetPCIBusId gives it. Never throws: everything stays unknown where NVML is absent.
ClockReading read_nvml_clocks(const std::string& pci_bus_id, const char* library = "libnvidia-ml.so.1");

// Reads clock, temperature, limit and slowdown of a GPU whenever it is called; the library is opened once. Null where
// NVML is absent.
std::function<DeviceState()> open_nvml_state(const std::string& pci_bus_id, const char* library = "libnvidia-ml.so.1");

// The whole board's energy counter. Null where NVML is absent or the GPU has none (before Volta).
std::unique_ptr<EnergyCounter> open_nvml_energy(const std::string& pci_bus_id,
                                                const char* library = "libnvidia-ml.so.1");

}  // namespace duet
