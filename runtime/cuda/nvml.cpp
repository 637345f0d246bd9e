#include "runtime/cuda/nvml.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <array>
#include <optional>
#include <string_view>

#include "base/error.h"

namespace duet {
namespace {

// NVML's C interface, by its documentation: every function returns 0 on success.
using NvmlDevice = struct NvmlDeviceTag*;
using Init = int (*)();
using Shutdown = int (*)();
using HandleByPciBusId = int (*)(const char*, NvmlDevice*);
using ReadKind = int (*)(NvmlDevice, unsigned int, unsigned int*);
using ReadValue = int (*)(NvmlDevice, unsigned int*);
using ReadReasons = int (*)(NvmlDevice, unsigned long long*);
using ReadEnergy = int (*)(NvmlDevice, unsigned long long*);

constexpr unsigned int kSmClock = 1;
constexpr unsigned int kMemoryClock = 2;
constexpr unsigned int kGpuTemperature = 0;

// nvmlClocksThrottleReason*: those that slow it down against what its mode allows, and those that do not: idle, a clock
// that was set, the power limit, a group of boards in step, a display.
constexpr unsigned long long kNoSlowdowns = 0x1 | 0x2 | 0x4 | 0x10 | 0x100;
struct Slowdown {
  unsigned long long bit;
  std::string_view name;
};
constexpr std::array<Slowdown, 4> kSlowdowns = {{{0x40, "hardware thermal slowdown"},
                                                 {0x20, "thermal slowdown"},
                                                 {0x80, "power brake"},
                                                 {0x08, "hardware slowdown"}}};

class Nvml {
 public:
  explicit Nvml(const char* library) : handle_(dlopen(library, RTLD_NOW | RTLD_LOCAL)) {
    auto* init = function<Init>("nvmlInit_v2");
    ready_ = init != nullptr && init() == 0;
  }
  ~Nvml() {
    auto* shutdown = function<Shutdown>("nvmlShutdown");
    if (ready_ && shutdown != nullptr) shutdown();
    // The library stays open: the next reading finds it in place.
  }
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  NvmlDevice device(const std::string& pci_bus_id) const {
    NvmlDevice device = nullptr;
    auto* find = function<HandleByPciBusId>("nvmlDeviceGetHandleByPciBusId_v2");
    if (!ready_ || find == nullptr || find(pci_bus_id.c_str(), &device) != 0) return nullptr;
    return device;
  }
  unsigned int read(const char* name, NvmlDevice device, unsigned int kind) const {
    unsigned int value = 0;
    auto* call = function<ReadKind>(name);
    return call != nullptr && call(device, kind, &value) == 0 ? value : 0;
  }
  unsigned int read(const char* name, NvmlDevice device) const {
    unsigned int value = 0;
    auto* call = function<ReadValue>(name);
    return call != nullptr && call(device, &value) == 0 ? value : 0;
  }
  // Leaves the state as it is where NVML does not tell.
  void read_slowdown(NvmlDevice device, DeviceState& state) const {
    unsigned long long reasons = 0;
    auto* call = function<ReadReasons>("nvmlDeviceGetCurrentClocksThrottleReasons");
    if (call == nullptr || call(device, &reasons) != 0) return;
    state.low_clock_explained = (reasons & kNoSlowdowns) != 0;
    for (const Slowdown& slowdown : kSlowdowns) {
      if ((reasons & slowdown.bit) == 0) continue;
      state.slowdown = slowdown.name;
      return;
    }
  }
  std::string power_limit(NvmlDevice device) const {
    const unsigned int milliwatts = read("nvmlDeviceGetEnforcedPowerLimit", device);
    return milliwatts > 0 ? fmt::format("{} W", milliwatts / 1000) : std::string();
  }
  std::optional<unsigned long long> energy_mj(NvmlDevice device) const {
    unsigned long long value = 0;
    auto* call = function<ReadEnergy>("nvmlDeviceGetTotalEnergyConsumption");
    if (call == nullptr || call(device, &value) != 0) return std::nullopt;
    return value;
  }

 private:
  template <typename Function>
  Function function(const char* name) const {
    return handle_ == nullptr ? nullptr : reinterpret_cast<Function>(dlsym(handle_, name));
  }
  void* handle_ = nullptr;
  bool ready_ = false;
};

class NvmlEnergy : public EnergyCounter {
 public:
  NvmlEnergy(const std::string& pci_bus_id, const char* library) : nvml_(library), device_(nvml_.device(pci_bus_id)) {}
  bool counts() const { return device_ != nullptr && nvml_.energy_mj(device_).has_value(); }
  double read_mj() override {
    const auto millijoules = nvml_.energy_mj(device_);
    if (!millijoules) fail(ErrorKind::device, "NVML's energy counter could be read before and cannot be any more");
    return static_cast<double>(*millijoules);
  }

 private:
  Nvml nvml_;
  NvmlDevice device_;
};

}  // namespace

ClockReading read_nvml_clocks(const std::string& pci_bus_id, const char* library) {
  ClockReading reading;
  const Nvml nvml(library);
  NvmlDevice device = nvml.device(pci_bus_id);
  if (device == nullptr) return reading;
  reading.sm_clock_mhz = static_cast<int>(nvml.read("nvmlDeviceGetClockInfo", device, kSmClock));
  reading.max_sm_clock_mhz = static_cast<int>(nvml.read("nvmlDeviceGetMaxClockInfo", device, kSmClock));
  reading.memory_clock_mhz = static_cast<int>(nvml.read("nvmlDeviceGetClockInfo", device, kMemoryClock));
  reading.max_memory_clock_mhz = static_cast<int>(nvml.read("nvmlDeviceGetMaxClockInfo", device, kMemoryClock));
  if (const unsigned int degrees = nvml.read("nvmlDeviceGetTemperature", device, kGpuTemperature); degrees > 0) {
    reading.temperature_c = degrees;
  }
  if (const unsigned int milliwatts = nvml.read("nvmlDeviceGetPowerUsage", device); milliwatts > 0) {
    reading.rails.push_back({"GPU", milliwatts / 1000.0});
  }
  reading.power_mode = nvml.power_limit(device);
  return reading;
}

std::function<DeviceState()> open_nvml_state(const std::string& pci_bus_id, const char* library) {
  const auto nvml = std::make_shared<const Nvml>(library);
  NvmlDevice device = nvml->device(pci_bus_id);
  if (device == nullptr) return nullptr;
  return [nvml, device] {
    DeviceState state;
    state.sm_clock_mhz = static_cast<int>(nvml->read("nvmlDeviceGetClockInfo", device, kSmClock));
    state.temperature_c = nvml->read("nvmlDeviceGetTemperature", device, kGpuTemperature);
    state.power_mode = nvml->power_limit(device);
    nvml->read_slowdown(device, state);
    return state;
  };
}

std::unique_ptr<EnergyCounter> open_nvml_energy(const std::string& pci_bus_id, const char* library) {
  auto counter = std::make_unique<NvmlEnergy>(pci_bus_id, library);
  if (!counter->counts()) return nullptr;
  return counter;
}

}  // namespace duet
