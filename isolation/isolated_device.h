// A Device whose kernels run in a worker process: a crash, a hang, an exhausted memory or a dead context costs that
// process, and the next allocation starts another.
//
//   IsolatedDevice device({.command = {"/usr/bin/duet", "worker", "--target", "auto"}, .timeout = 10s});
//   KernelVerifier(problem, seed).verify(device, plan);  // timeout, crash, out of memory: an outcome with its cause
//
// Whatever throws Error(device) ends the worker, since a context may be dead after it; its buffers, kernels and
// executables are then lost and may only be given back. Not thread-safe.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/child_process.h"
#include "base/message.h"
#include "isolation/protocol.h"
#include "isolation/staging.h"
#include "runtime/device.h"

namespace duet {

struct IsolationOptions {
  std::vector<std::string> command{};             // the worker's program and arguments
  std::chrono::milliseconds timeout{10'000};      // of a launch, a replay or a transfer
  std::uint64_t memory_limit_bytes = 2ull << 30;  // of the worker, resident; 0: no limit
};

class IsolatedDevice final : public Device {
 public:
  // Starts the first worker. Throws what opening the device throws there.
  explicit IsolatedDevice(IsolationOptions options);
  ~IsolatedDevice() override;

  const DeviceInfo& info() const override { return info_; }
  std::string environment_text() const override;
  std::optional<DeviceState> state() const override;
  // The worker's; must not outlive the device. Its reading throws Error(device) once the worker was replaced.
  std::unique_ptr<EnergyCounter> energy_counter() const override;
  DeviceAddress allocate(std::size_t bytes) override;
  void free(DeviceAddress address) noexcept override;
  void write(DeviceAddress destination, std::span<const std::byte> source) override;
  void read(std::span<std::byte> destination, DeviceAddress source) override;
  void fill(DeviceAddress destination, std::byte value, std::size_t bytes) override;
  LoadedKernel load(const PlanKernel& kernel) override;
  void unload(LoadedKernel kernel) noexcept override;
  void prepare(std::span<const std::string> sources) override;
  std::array<std::byte, kTensorMapBytes> tensor_map(const TensorMapSpec& spec, DeviceAddress address) override;
  // The executable must not outlive the device.
  std::unique_ptr<Executable> capture(std::span<const Launch> launches) override;
  std::unique_ptr<Executable> capture_beside(std::span<const Launch> launches, const Background& background) override;

  int workers_started() const { return generation_; }
  // Of the worker that lives; -1 when there is none.
  pid_t worker_process() const { return worker_ && worker_->alive() ? worker_->process() : -1; }

 private:
  friend class IsolatedExecutable;
  friend class IsolatedEnergy;
  struct Kernel {
    std::uint64_t handle = 0;
    int generation = 0;
  };

  // Millijoules; none where the worker's device counts none.
  std::optional<double> ask_energy() const;
  void ensure_worker();
  // As the worker knows it.
  Launch there(const Launch& launch) const;
  std::vector<Launch> there(std::span<const Launch> launches) const;
  std::unique_ptr<Executable> make_executable(const MessageWriter& request, std::span<const Launch> launches);
  // The reply to a request to the worker that is there. Throws Error(device) with the cause when it died or its device
  // failed: it is then gone. Other errors are thrown as the worker threw them.
  std::vector<std::byte> ask(const MessageWriter& request, std::chrono::milliseconds timeout,
                             const std::string& what) const;
  template <typename T>
  T ask_for(const MessageWriter& request, std::chrono::milliseconds timeout, const std::string& what) const;
  void tell_if_alive(const MessageWriter& request, int generation) noexcept;
  bool is_current(int generation) const;
  void require_current(int generation, const std::string& what) const;
  void require_buffer(DeviceAddress address, const std::string& what) const;

  IsolationOptions options_;
  StagingMemory staging_;
  mutable std::unique_ptr<ChildProcess> worker_;
  int generation_ = 0;  // of the worker; counts those started
  DeviceInfo info_;
  std::map<DeviceAddress, int> allocations_;  // generations
  std::map<std::uint64_t, Kernel> kernels_;
  std::uint64_t last_kernel_ = 0;
};

}  // namespace duet
