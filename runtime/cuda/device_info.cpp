#include "runtime/cuda/device_info.h"

#include <array>
#include <ctime>

#include "base/error.h"
#include "runtime/board.h"
#include "runtime/cuda/nvml.h"
#include "runtime/cuda/slice_name.h"
#include "runtime/rail_energy.h"

namespace duet {
namespace {

int attribute(const CudaContext& context, CUdevice_attribute which) {
  int value = 0;
  DUET_CUDA_CHECK(context.driver(), cuDeviceGetAttribute(&value, which, context.device()));
  return value;
}

std::string device_name(const CudaContext& context, int all_sms) {
  if (const Board board = recognise_board("/", all_sms); board.jetson) return board.module;
  std::array<char, 256> name{};
  DUET_CUDA_CHECK(context.driver(), cuDeviceGetName(name.data(), static_cast<int>(name.size()), context.device()));
  return name.data();
}

// A slice is named with its share: its plans are no plans for the whole.
std::string sliced_name(std::string name, int slice_sms, int all_sms) {
  return slice_sms == 0 ? name : fmt::format("{}, {} of {} SMs", name, slice_sms, all_sms);
}

DeviceFingerprint query_fingerprint(const CudaContext& context, const ClockReading& clocks) {
  DeviceFingerprint fingerprint;
  const int all_sms = attribute(context, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
  fingerprint.target = slice_target(context.slice_sms());
  fingerprint.module = sliced_name(device_name(context, all_sms), context.slice_sms(), all_sms);
  fingerprint.arch = fmt::format("sm_{}{}", attribute(context, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR),
                                 attribute(context, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR));
  fingerprint.sm_count = context.slice_sms() > 0 ? context.slice_sms() : all_sms;
  fingerprint.sm_clock_mhz = clocks.max_sm_clock_mhz;
  if (fingerprint.sm_clock_mhz == 0) {
    fingerprint.sm_clock_mhz = attribute(context, CU_DEVICE_ATTRIBUTE_CLOCK_RATE) / 1000;
  }
  // Always the driver's figure: the board's own is readable by root only, and a key must not depend on who asks.
  fingerprint.memory_clock_mhz = attribute(context, CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE) / 1000;
  fingerprint.l2_bytes = attribute(context, CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE);
  fingerprint.power_mode = clocks.power_mode;
  fingerprint.driver_version = context.driver().version;
  return fingerprint;
}

// The whole device's, for a slice too: how much of it K SMs can draw is not known. Two transfers a clock, as every DDR,
// GDDR and HBM generation counts its clock here. The driver of an integrated GPU gives the GPU's clock for the
// memory's: the board's own file decides there, where it is readable.
double peak_memory_gbps(const CudaContext& context, const ClockReading& clocks) {
  double clock_mhz = attribute(context, CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE) / 1000.0;
  if (attribute(context, CU_DEVICE_ATTRIBUTE_INTEGRATED) != 0) clock_mhz = clocks.max_memory_clock_mhz;
  return 2 * clock_mhz * 1e6 * attribute(context, CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH) / 8 / 1e9;
}

std::string pci_bus_id(const CudaContext& context) {
  std::array<char, 64> id{};
  DUET_CUDA_CHECK(context.driver(), cuDeviceGetPCIBusId(id.data(), static_cast<int>(id.size()), context.device()));
  return id.data();
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text.data(), length};
}

std::string clock_text(std::string_view what, int now_mhz, int max_mhz) {
  const std::string now = now_mhz > 0 ? std::to_string(now_mhz) : "unknown";
  return max_mhz > 0 ? fmt::format("{} clock {} of {} MHz", what, now, max_mhz)
                     : fmt::format("{} clock {} MHz", what, now);
}

}  // namespace

DeviceInfo query_device_info(const CudaContext& context) {
  const ClockReading clocks = read_clocks(context);
  DeviceInfo info;
  info.fingerprint = query_fingerprint(context, clocks);
  info.smem_bytes_per_block = attribute(context, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
  info.smem_bytes_per_sm = attribute(context, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR);
  info.threads_per_sm = attribute(context, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR);
  info.registers_per_sm = attribute(context, CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR);
  info.blocks_per_sm = attribute(context, CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR);
  info.memory_gbps = peak_memory_gbps(context, clocks);
  std::size_t memory_bytes = 0;
  DUET_CUDA_CHECK(context.driver(), cuDeviceTotalMem(&memory_bytes, context.device()));
  info.memory_bytes = static_cast<std::int64_t>(memory_bytes);
  info.can_measure = true;
  info.sm_granule = context.sm_granule();
  info.other_sms =
      context.slice_sms() > 0 ? attribute(context, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT) - context.slice_sms() : 0;
  return info;
}

ClockReading read_clocks(const CudaContext& context) {
  if (recognise_board().jetson) return read_jetson_clocks();
  return read_nvml_clocks(pci_bus_id(context));
}

std::function<DeviceState()> open_state_reader(const CudaContext& context, const DeviceInfo& info) {
  if (!recognise_board().jetson) return open_nvml_state(pci_bus_id(context));
  // The clock's limit as it was at the start: a board that grows hot lowers the file's.
  return [expected_mhz = info.fingerprint.sm_clock_mhz] {
    DeviceState state = read_jetson_state();
    state.expected_sm_clock_mhz = expected_mhz;
    return state;
  };
}

std::unique_ptr<EnergyCounter> open_energy_counter(const CudaContext& context) {
  return recognise_board().jetson ? open_rail_energy() : open_nvml_energy(pci_bus_id(context));
}

std::string describe_environment(const DeviceInfo& info, const ClockReading& clocks) {
  const DeviceFingerprint& device = info.fingerprint;
  std::string text = fmt::format("{} ({}, {} SMs), CUDA driver {}.{}, {}, {}", device.module, device.arch,
                                 device.sm_count, device.driver_version / 1000, device.driver_version % 1000 / 10,
                                 clock_text("SM", clocks.sm_clock_mhz, device.sm_clock_mhz),
                                 clock_text("memory", clocks.memory_clock_mhz, device.memory_clock_mhz));
  if (clocks.temperature_c) text += fmt::format(", {:.0f} C", *clocks.temperature_c);
  for (const PowerRail& rail : clocks.rails) text += fmt::format(", {} {:.1f} W", rail.name, rail.watts);
  if (!device.power_mode.empty()) text += ", power mode " + device.power_mode;
  return text + ", " + utc_now();
}

}  // namespace duet
