// A Device on some of another's SMs: what is tuned for a tower that gets no others is verified and timed there.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "runtime/device.h"

namespace duet {

// Everything but `capture`, which gives each launch its share, is the whole device's.
class DeviceShare final : public Device {
 public:
  // `sms`: a share that the device can give (DeviceInfo::sm_granule), or the rest beside one. `whole` outlives this.
  DeviceShare(Device& whole, int sms);

  const DeviceInfo& info() const override { return info_; }
  std::string environment_text() const override;
  std::optional<DeviceState> state() const override { return whole_.state(); }
  std::unique_ptr<EnergyCounter> energy_counter() const override { return whole_.energy_counter(); }
  DeviceAddress allocate(std::size_t bytes) override { return whole_.allocate(bytes); }
  void free(DeviceAddress address) noexcept override { whole_.free(address); }
  void write(DeviceAddress destination, std::span<const std::byte> source) override {
    whole_.write(destination, source);
  }
  void read(std::span<std::byte> destination, DeviceAddress source) override { whole_.read(destination, source); }
  void fill(DeviceAddress destination, std::byte value, std::size_t bytes) override {
    whole_.fill(destination, value, bytes);
  }
  LoadedKernel load(const PlanKernel& kernel) override { return whole_.load(kernel); }
  void unload(LoadedKernel kernel) noexcept override { whole_.unload(kernel); }
  void prepare(std::span<const std::string> sources) override { whole_.prepare(sources); }
  std::array<std::byte, kTensorMapBytes> tensor_map(const TensorMapSpec& spec, DeviceAddress address) override {
    return whole_.tensor_map(spec, address);
  }
  std::unique_ptr<Executable> capture(std::span<const Launch> launches) override;

 private:
  Device& whole_;
  DeviceInfo info_;
};

}  // namespace duet
