// Clocks, temperature and power of a discrete GPU through NVML, opened at run time.
#pragma once

#include <string>

#include "runtime/clocks.h"

namespace duet {

// `pci_bus_id` as cuDeviceGetPCIBusId gives it. Never throws: everything stays unknown where NVML is absent.
ClockReading read_nvml_clocks(const std::string& pci_bus_id, const char* library = "libnvidia-ml.so.1");

}  // namespace duet
