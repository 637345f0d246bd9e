// The one interface to something that runs kernels: a GPU (or some of its SMs), or the emulator.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "runtime/device_state.h"
#include "runtime/energy.h"
#include "runtime/plan.h"

namespace duet {

using DeviceAddress = std::uint64_t;

// How SMs can be divided between two streams: `least` of them or more for one, in steps of `step`, the rest for the
// other. Zeros: not at all.
struct SmGranule {
  int least = 0;
  int step = 0;
  bool operator==(const SmGranule&) const = default;
};

struct DeviceInfo {
  DeviceFingerprint fingerprint;
  int smem_bytes_per_block = 0;  // by opt-in
  int smem_bytes_per_sm = 0;
  int threads_per_sm = 0;
  int registers_per_sm = 0;
  int blocks_per_sm = 0;
  std::int64_t memory_bytes = 0;
  double memory_gbps = 0;    // peak, from clock and bus width; 0 when unknown; a slice has the whole GPU's
  bool can_measure = false;  // false: times mean nothing here (the emulator)
  SmGranule sm_granule;      // of StreamShare::sms
  int other_sms = 0;         // that the GPU has beside this slice of it
};

// A loaded kernel; valid as long as its Device.
struct LoadedKernel {
  std::uint64_t handle = 0;
};

struct Launch {
  LoadedKernel kernel;
  std::string name;
  GridSize grid;
  int threads = 0;
  int smem_bytes = 0;
  bool programmatic = false;      // PlanKernel::programmatic_launch
  std::vector<std::byte> params;  // relocated
  int stream = 0;
  StreamShare share{};     // of its stream: equal in all launches of one
  std::vector<int> waits;  // indices of earlier launches on other streams
};

// A kernel that runs on a GPU's SMs outside a slice while the slice works. It counts its blocks in `started` when they
// begin, ends when `stop` is not 0, and counts in `expired` those that ended without that, so that none runs for ever.
struct Background {
  Launch launch;
  DeviceAddress stop = 0, started = 0, expired = 0;  // of u32
};

// How caches stand before each timed replay.
enum class CacheState { warm, cold };  // cold: L2 flushed at its queried size

// A fixed sequence of launches: a captured CUDA graph, or the emulator's list.
class Executable {
 public:
  virtual ~Executable() = default;
  // Runs once and waits. Throws Error(device) with the kernel's name where it is known.
  virtual void run() = 0;
  // Runs `count` times, one queued behind the other where the device can, and waits for the last.
  virtual void run_queued(int count) {
    for (int i = 0; i < count; ++i) run();
  }
  // One event-timed replay per sample, in microseconds; empty where Device::info().can_measure is false.
  virtual std::vector<double> time_us(int samples, CacheState caches) = 0;
};

class Device {
 public:
  virtual ~Device() = default;
  virtual const DeviceInfo& info() const = 0;
  // Device, driver, clocks and temperature now, power mode, date: what a measurement's record needs.
  virtual std::string environment_text() const { return info().fingerprint.module; }
  // Clock, temperature and throttling now, quickly enough for every round of samples. None where nothing can be told.
  virtual std::optional<DeviceState> state() const { return std::nullopt; }
  // Null where the device counts no energy.
  virtual std::unique_ptr<EnergyCounter> energy_counter() const { return nullptr; }

  // Memory. Addresses are 256-byte aligned. Errors: Error(device), out of memory with the sizes.
  virtual DeviceAddress allocate(std::size_t bytes) = 0;
  virtual void free(DeviceAddress address) noexcept = 0;
  virtual void write(DeviceAddress destination, std::span<const std::byte> source) = 0;
  virtual void read(std::span<std::byte> destination, DeviceAddress source) = 0;
  virtual void fill(DeviceAddress destination, std::byte value, std::size_t bytes) = 0;

  // Loads the image that fits this device (the emulator compiles the source instead).
  // Throws Error(missing) when no image fits, naming the architectures there are.
  virtual LoadedKernel load(const PlanKernel& kernel) = 0;
  virtual void unload(LoadedKernel kernel) noexcept = 0;
  // Tells which generated sources are about to be loaded, so that a device that compiles for itself can do many at
  // once. Never fails: a source that does not compile says so when it is captured.
  virtual void prepare(std::span<const std::string> sources) { static_cast<void>(sources); }
  // The driver's description of a matrix at `address` for the tensor memory accelerator.
  // Throws Error(missing) where the device has none.
  virtual std::array<std::byte, kTensorMapBytes> tensor_map(const TensorMapSpec&, DeviceAddress) {
    fail(ErrorKind::missing, "{} has no tensor memory accelerator, which this plan was made for; tune for this device",
         info().fingerprint.module);
  }
  // Turns launches into one executable: streams fork and join inside it.
  virtual std::unique_ptr<Executable> capture(std::span<const Launch> launches) = 0;
  // The same with `background` beside whatever the executable runs: begun before, ended after it. Throws Error(usage)
  // for a device that is no slice.
  virtual std::unique_ptr<Executable> capture_beside(std::span<const Launch>, const Background&) {
    fail(ErrorKind::usage, "{} is no slice of a GPU: nothing can run on other SMs; use a target such as auto/16sm",
         info().fingerprint.module);
  }
};

// Owns an allocation.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  DeviceBuffer(Device& device, std::size_t bytes)
      : device_(&device), address_(bytes ? device.allocate(bytes) : 0), bytes_(bytes) {}
  DeviceBuffer(DeviceBuffer&& other) noexcept { swap(other); }
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    DeviceBuffer taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~DeviceBuffer() {
    if (address_) device_->free(address_);
  }
  DeviceAddress address() const { return address_; }
  std::size_t bytes() const { return bytes_; }

 private:
  void swap(DeviceBuffer& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(address_, other.address_);
    std::swap(bytes_, other.bytes_);
  }
  Device* device_ = nullptr;
  DeviceAddress address_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace duet
