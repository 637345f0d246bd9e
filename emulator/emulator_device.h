// A Device that runs generated kernels on the CPU, in a worker process.
//
//   auto device = EmulatorDevice::open();
//   for (const RunVariant& variant : standard_variants()) {
//     device->set_variant(variant);
//     executable->run();  // throws EmulatorError: what went wrong, where
//   }
//
// Kernels are compiled when an executable is captured, many in one run of the compiler. A fault that the emulator
// itself finds leaves the worker alone; an AddressSanitizer report, a crash or a hang ends it, and with it every
// buffer: the next allocation starts a new worker, and buffers of the old one may only be freed. Not thread-safe.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "emulator/fault.h"
#include "emulator/host_compiler.h"
#include "emulator/launch.h"
#include "emulator/variant.h"
#include "emulator/worker_process.h"
#include "runtime/device.h"

namespace duet {

struct EmulatorOptions {
  bool sanitize = true;  // false: no bounds checks on global memory, about four times faster
  emulator::RunVariant variant;
  std::chrono::milliseconds launch_timeout{120'000};
  int smem_bytes_per_block = 227 * 1024;
  std::filesystem::path worker;       // empty: emulator::find_worker()
  std::filesystem::path include_dir;  // as HostCompilerOptions
  std::filesystem::path cache_dir;
};

// Error(device) that carries the fault and the launch's name.
class EmulatorError : public Error {
 public:
  EmulatorError(const std::string& launch_name, emulator::Fault fault)
      : Error(ErrorKind::device, "kernel '" + launch_name + "' in the emulator: " + to_string(fault)),
        fault_(std::move(fault)) {}
  const emulator::Fault& fault() const { return fault_; }

 private:
  emulator::Fault fault_;
};

class EmulatorDevice final : public Device {
 public:
  // Throws Error(missing) when the worker program is not there.
  static std::unique_ptr<EmulatorDevice> open(EmulatorOptions options = {});
  ~EmulatorDevice() override;

  // How the launches of the executables run from now on; also the poison of new allocations.
  void set_variant(const emulator::RunVariant& variant) { options_.variant = variant; }
  const emulator::RunVariant& variant() const { return options_.variant; }

  const DeviceInfo& info() const override { return info_; }
  DeviceAddress allocate(std::size_t bytes) override;
  void free(DeviceAddress address) noexcept override;
  void write(DeviceAddress destination, std::span<const std::byte> source) override;
  void read(std::span<std::byte> destination, DeviceAddress source) override;
  void fill(DeviceAddress destination, std::byte value, std::size_t bytes) override;
  // Keeps the source; capture() compiles it.
  LoadedKernel load(const PlanKernel& kernel) override;
  void unload(LoadedKernel kernel) noexcept override;
  // Into the compiler's cache, where capture() finds them.
  void prepare(std::span<const std::string> sources) override;
  // As the kernels' host side reads it.
  std::array<std::byte, kTensorMapBytes> tensor_map(const TensorMapSpec& spec, DeviceAddress address) override;
  // Throws Error(device) with the compiler's message for a kernel that does not compile. The executable must not
  // outlive the device.
  std::unique_ptr<Executable> capture(std::span<const Launch> launches) override;

  // Runs one launch: what happened, as a value.
  emulator::LaunchOutcome try_launch(const Launch& launch);

 private:
  struct Kernel {
    std::string entry;
    std::string source;
    std::filesystem::path shared_object;  // empty until compiled
    std::uint32_t worker_handle = 0;
    int worker_generation = 0;
  };
  struct Allocation {
    std::size_t bytes = 0;
    int worker_generation = 0;
  };

  explicit EmulatorDevice(EmulatorOptions options);
  emulator::WorkerProcess& worker();
  // Throws EmulatorError when the worker dies of a request that is no launch.
  std::vector<std::byte> ask(std::span<const std::byte> request, const char* what);
  std::uint64_t ask_for_memory(std::size_t bytes);
  bool is_of_old_worker(std::uint64_t address) const;
  void require_range(DeviceAddress address, std::size_t bytes, const char* what) const;
  void compile(std::span<const Launch> launches);
  // The fault when the worker cannot load it.
  std::optional<emulator::Fault> ensure_loaded(Kernel& kernel);

  EmulatorOptions options_;
  DeviceInfo info_;
  emulator::HostCompiler compiler_;
  std::unique_ptr<emulator::WorkerProcess> worker_;
  int worker_generation_ = 0;
  std::map<std::uint64_t, Allocation> allocations_;
  std::map<std::uint64_t, Kernel> kernels_;
  std::uint64_t last_kernel_ = 0;
};

namespace emulator {

// Indices of the launches in an order that keeps each stream and each wait. Launches that do not depend on each other
// follow the variant's block order: as listed, last stream first, or at random.
// Throws Error(input) when a launch waits for itself, a later one, or one that is not there.
std::vector<std::size_t> execution_order(std::span<const Launch> launches, const RunVariant& variant);

}  // namespace emulator
}  // namespace duet
