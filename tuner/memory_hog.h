// A slice of a GPU with less memory bandwidth: a kernel on the other SMs streams DRAM while the slice works. A slice of
// few SMs draws several times what a small device has for each SM; with the rest taken away, what is bound by memory
// there shows here too.
//
//   HoggedDevice device(CudaDevice::open(0, 16), compiler, 102);
//   device.hog();  // what was measured: alone, and left with the hog
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/device.h"
#include "tuner/kernel_compiler.h"

namespace duet {

struct HogFigures {
  double asked_gbps = 0;
  double alone_gbps = 0;  // the slice reads without the hog
  double left_gbps = 0;   // with it; measured
  int sms = 0;            // that the hog runs on
  double period_us = 0;   // between the chunks of one of its blocks; 0: without a pause
};

// The period with which about `asked_gbps` are left, by bisection of its logarithm; `left_gbps(period_us)` measures,
// and grows with the period. 0 when even without a pause more is left.
double find_hog_period_us(double asked_gbps, const std::function<double(double)>& left_gbps);

// Every executable of this device runs beside the hog; all else is the slice's. Its fingerprint names the bandwidth
// asked for, so that plans and candidates of other bandwidths are not taken for its own.
class HoggedDevice final : public Device {
 public:
  // Throws Error(usage) when `slice` is none, or reads less than `left_gbps` by itself; warns when more is left than
  // was asked for. Error(device) as the slice's.
  HoggedDevice(std::unique_ptr<Device> slice, KernelCompiler& compiler, double left_gbps);
  ~HoggedDevice() override;

  const HogFigures& hog() const { return figures_; }

  const DeviceInfo& info() const override { return info_; }
  std::string environment_text() const override;
  std::optional<DeviceState> state() const override { return slice_->state(); }
  std::unique_ptr<EnergyCounter> energy_counter() const override { return slice_->energy_counter(); }
  DeviceAddress allocate(std::size_t bytes) override { return slice_->allocate(bytes); }
  void free(DeviceAddress address) noexcept override { slice_->free(address); }
  void write(DeviceAddress destination, std::span<const std::byte> source) override {
    slice_->write(destination, source);
  }
  void read(std::span<std::byte> destination, DeviceAddress source) override { slice_->read(destination, source); }
  void fill(DeviceAddress destination, std::byte value, std::size_t bytes) override {
    slice_->fill(destination, value, bytes);
  }
  LoadedKernel load(const PlanKernel& kernel) override { return slice_->load(kernel); }
  void unload(LoadedKernel kernel) noexcept override { slice_->unload(kernel); }
  void prepare(std::span<const std::string> sources) override { slice_->prepare(sources); }
  std::array<std::byte, kTensorMapBytes> tensor_map(const TensorMapSpec& spec, DeviceAddress address) override {
    return slice_->tensor_map(spec, address);
  }
  std::unique_ptr<Executable> capture(std::span<const Launch> launches) override;
  std::unique_ptr<Executable> capture_beside(std::span<const Launch>, const Background&) override;

 private:
  struct Hog;
  std::unique_ptr<Hog> make_hog() const;
  bool hog_is_there() const;
  double measure_gbps(const std::optional<double>& period_us);
  void find_period();

  std::unique_ptr<Device> slice_;
  PlanKernel kernel_;
  HogFigures figures_;
  DeviceInfo info_;
  std::unique_ptr<Hog> hog_;  // dies before the slice
};

}  // namespace duet
