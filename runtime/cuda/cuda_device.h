// A GPU, or a slice of its SMs, through the CUDA driver.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/cuda/context.h"
#include "runtime/device.h"

namespace duet {

class CudaDevice : public Device {
 public:
  // `sms`: how many SMs kernels may use, 0 for all. Throws Error(missing) when there is no driver, no such GPU, or no
  // green contexts for a slice, Error(usage) when this GPU has no slice of that size: one sentence with the next step.
  static std::unique_ptr<CudaDevice> open(int ordinal = 0, int sms = 0);
  // Whether open() finds a GPU; else `why` (when given) holds the reason.
  static bool available(std::string* why = nullptr);
  ~CudaDevice() override;

  const DeviceInfo& info() const override { return info_; }
  std::string environment_text() const override;
  std::optional<DeviceState> state() const override;
  std::unique_ptr<EnergyCounter> energy_counter() const override;
  DeviceAddress allocate(std::size_t bytes) override;
  void free(DeviceAddress address) noexcept override;
  void write(DeviceAddress destination, std::span<const std::byte> source) override;
  void read(std::span<std::byte> destination, DeviceAddress source) override;
  void fill(DeviceAddress destination, std::byte value, std::size_t bytes) override;
  LoadedKernel load(const PlanKernel& kernel) override;
  void unload(LoadedKernel kernel) noexcept override;
  std::array<std::byte, kTensorMapBytes> tensor_map(const TensorMapSpec& spec, DeviceAddress address) override;
  // The executable must not outlive the device, nor its kernels be unloaded before it.
  std::unique_ptr<Executable> capture(std::span<const Launch> launches) override;
  std::unique_ptr<Executable> capture_beside(std::span<const Launch> launches, const Background& background) override;

 private:
  explicit CudaDevice(std::unique_ptr<CudaContext> context);
  void wait_for_default_stream() const;
  void require_free_memory(CUresult result, std::size_t bytes) const;
  void divide_shared_memory(const PlanKernel& kernel, CUkernel loaded) const;

  std::unique_ptr<CudaContext> context_;
  DeviceInfo info_;
  std::function<DeviceState()> read_state_;
  std::mutex mutex_;
  std::unordered_map<std::uint64_t, CudaLibrary> libraries_;  // by kernel handle
};

}  // namespace duet
