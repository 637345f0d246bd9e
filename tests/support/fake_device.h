// A Device for tests: memory is the host's, kernels are functions given by entry name, and every call is recorded.
#pragma once

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include "base/error.h"
#include "runtime/device.h"

namespace duet {

class FakeDevice : public Device {
 public:
  using KernelFunction = std::function<void(const Launch&)>;

  FakeDevice() {
    info_.fingerprint = {.target = "fake", .module = "fake", .arch = "sm_87", .sm_count = 2};
    info_.smem_bytes_per_block = 100 * 1024;
    info_.memory_bytes = 1 << 30;
  }
  ~FakeDevice() override {
    for (const auto& [address, bytes] : allocations_) release(address);
  }

  // What a launch of the kernel `entry` does. A kernel without a function does nothing.
  void define(const std::string& entry, KernelFunction function) { functions_[entry] = std::move(function); }
  // A pointer to device memory, which a KernelFunction may use.
  template <typename T>
  static T* pointer(DeviceAddress address) {
    return reinterpret_cast<T*>(address);
  }
  // The value at `offset` of a launch's parameter block.
  template <typename T>
  static T param(const Launch& launch, std::size_t offset) {
    T value{};
    std::memcpy(&value, launch.params.data() + offset, sizeof(T));
    return value;
  }

  const DeviceInfo& info() const override { return info_; }
  DeviceInfo& mutable_info() { return info_; }

  DeviceAddress allocate(std::size_t bytes) override {
    if (bytes > memory_limit) fail(ErrorKind::device, "out of device memory: {} bytes asked for", bytes);
    void* memory = ::operator new (bytes, std::align_val_t{kAlignment});
    const auto address = reinterpret_cast<DeviceAddress>(memory);
    std::memset(memory, 0xEE, bytes);
    allocations_[address] = bytes;
    return address;
  }
  void free(DeviceAddress address) noexcept override {
    if (allocations_.erase(address) != 0) release(address);
  }
  void write(DeviceAddress destination, std::span<const std::byte> source) override {
    require_inside(destination, source.size());
    if (!source.empty()) std::memcpy(pointer<void>(destination), source.data(), source.size());
    ++writes;
  }
  void read(std::span<std::byte> destination, DeviceAddress source) override {
    require_inside(source, destination.size());
    if (!destination.empty()) std::memcpy(destination.data(), pointer<void>(source), destination.size());
  }
  void fill(DeviceAddress destination, std::byte value, std::size_t bytes) override {
    require_inside(destination, bytes);
    if (bytes != 0) std::memset(pointer<void>(destination), std::to_integer<int>(value), bytes);
  }

  LoadedKernel load(const PlanKernel& kernel) override {
    if (kernel.entry == refused_entry) fail(ErrorKind::missing, "kernel {} has no image", kernel.entry);
    loaded.push_back(kernel.entry);
    ++live_kernels;
    return {static_cast<std::uint64_t>(loaded.size())};
  }
  void unload(LoadedKernel) noexcept override { --live_kernels; }
  std::unique_ptr<Executable> capture(std::span<const Launch> launches) override {
    captured.assign(launches.begin(), launches.end());
    return std::make_unique<FakeExecutable>(*this);
  }

  const std::string& entry_of(const Launch& launch) const { return loaded.at(launch.kernel.handle - 1); }
  std::size_t live_allocations() const { return allocations_.size(); }

  // Records and knobs.
  std::vector<std::string> loaded;    // entries, in order of load
  std::vector<Launch> captured;       // as given to the last capture
  std::vector<std::string> executed;  // step names, in order of execution
  int live_kernels = 0;
  int writes = 0;
  std::size_t memory_limit = std::size_t{1} << 30;
  std::string refused_entry;
  // What one timed replay takes, where the device can measure.
  std::function<double(const std::vector<Launch>& launches)> replay_us = [](const auto&) { return 10.0; };

 private:
  static constexpr std::size_t kAlignment = 256;

  class FakeExecutable : public Executable {
   public:
    explicit FakeExecutable(FakeDevice& device) : device_(device), launches_(device.captured) {}
    void run() override {
      for (const Launch& launch : launches_) {
        device_.executed.push_back(launch.name);
        const auto function = device_.functions_.find(device_.entry_of(launch));
        if (function != device_.functions_.end()) function->second(launch);
      }
    }
    std::vector<double> time_us(int samples, CacheState) override {
      if (!device_.info_.can_measure) return {};
      std::vector<double> times_us;
      for (int i = 0; i < samples; ++i) times_us.push_back(device_.replay_us(launches_));
      return times_us;
    }

   private:
    FakeDevice& device_;
    std::vector<Launch> launches_;
  };

  static void release(DeviceAddress address) {
    ::operator delete (pointer<void>(address), std::align_val_t{kAlignment});
  }

  void require_inside(DeviceAddress address, std::size_t bytes) const {
    if (bytes == 0) return;
    const auto after = allocations_.upper_bound(address);
    if (after != allocations_.begin()) {
      const auto& [begin, size] = *std::prev(after);
      if (address - begin <= size && bytes <= size - (address - begin)) return;
    }
    fail(ErrorKind::device, "fake device: {} bytes at {} are in no allocation", bytes, address);
  }

  DeviceInfo info_;
  std::map<std::string, KernelFunction> functions_;
  std::map<DeviceAddress, std::size_t> allocations_;
};

}  // namespace duet
