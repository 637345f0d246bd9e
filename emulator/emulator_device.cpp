#include "emulator/emulator_device.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "emulator/intrinsics_host.h"
#include "emulator/protocol.h"

namespace duet {
namespace {

using emulator::Fault;
using emulator::FaultKind;
using emulator::LaunchOutcome;
using emulator::Request;

constexpr std::chrono::minutes kTransferTimeout{2};
constexpr std::size_t kStubsPerCompile = 8;

DeviceInfo emulator_info(const EmulatorOptions& options) {
  DeviceInfo info;
  info.fingerprint.target = "emulator";
  info.fingerprint.module = "emulator";
  info.fingerprint.arch = "host";
  info.fingerprint.sm_count = 1;
  info.smem_bytes_per_block = options.smem_bytes_per_block;
  info.smem_bytes_per_sm = options.smem_bytes_per_block + 1024;
  info.threads_per_sm = 2048;
  info.registers_per_sm = 65536;
  info.memory_bytes = std::int64_t{64} << 30;
  info.can_measure = false;
  return info;
}

class EmulatorExecutable final : public Executable {
 public:
  EmulatorExecutable(EmulatorDevice& device, std::span<const Launch> launches)
      : device_(device), launches_(launches.begin(), launches.end()) {}

  void run() override {
    for (const std::size_t index : emulator::execution_order(launches_, device_.variant())) {
      const LaunchOutcome outcome = device_.try_launch(launches_[index]);
      if (outcome.ok()) continue;
      Fault fault = *outcome.fault;
      fault.detail += (fault.detail.empty() ? "variant " : "; variant ") + to_string(device_.variant());
      throw EmulatorError(launches_[index].name, std::move(fault));
    }
  }

  std::vector<double> time_us(int, CacheState) override { return {}; }

 private:
  EmulatorDevice& device_;
  std::vector<Launch> launches_;
};

emulator::LaunchHeader launch_header(const Launch& launch, std::uint32_t kernel, const EmulatorOptions& options) {
  const emulator::RunVariant& variant = options.variant;
  return {.kernel = kernel,
          .grid = {launch.grid.x, launch.grid.y, launch.grid.z},
          .threads = launch.threads,
          .smem_bytes = launch.smem_bytes,
          .order = static_cast<std::uint8_t>(variant.order),
          .landing = static_cast<std::uint8_t>(variant.landing),
          .poison = static_cast<std::uint8_t>(variant.poison),
          .blocks = static_cast<std::uint8_t>(variant.blocks),
          .seed = variant.seed};
}

}  // namespace

std::unique_ptr<EmulatorDevice> EmulatorDevice::open(EmulatorOptions options) {
  if (options.worker.empty()) options.worker = emulator::find_worker(options.sanitize);
  return std::unique_ptr<EmulatorDevice>(new EmulatorDevice(std::move(options)));
}

EmulatorDevice::EmulatorDevice(EmulatorOptions options)
    : options_(std::move(options)),
      info_(emulator_info(options_)),
      compiler_({.include_dir = options_.include_dir, .cache_dir = options_.cache_dir, .sanitize = options_.sanitize}) {
}

EmulatorDevice::~EmulatorDevice() = default;

emulator::WorkerProcess& EmulatorDevice::worker() {
  if (!worker_ || !worker_->alive()) {
    worker_ = std::make_unique<emulator::WorkerProcess>(options_.worker);
    ++worker_generation_;
  }
  return *worker_;
}

std::vector<std::byte> EmulatorDevice::ask(std::span<const std::byte> request, const char* what) {
  emulator::WorkerProcess::Reply reply = worker().call(request, kTransferTimeout);
  if (reply.failure) throw EmulatorError(what, std::move(*reply.failure));
  return std::move(reply.payload);
}

// ---- memory

bool EmulatorDevice::is_of_old_worker(std::uint64_t address) const {
  const auto found = allocations_.find(address);
  return found != allocations_.end() && found->second.worker_generation != worker_generation_;
}

std::uint64_t EmulatorDevice::ask_for_memory(std::size_t bytes) {
  MessageWriter request;
  request.put(Request::allocate).put(static_cast<std::uint64_t>(bytes)).put(poison_byte(options_.variant.poison));
  const auto reply = ask(request.data(), "allocate");
  return MessageReader(reply).get<std::uint64_t>();
}

DeviceAddress EmulatorDevice::allocate(std::size_t bytes) {
  const std::size_t asked = std::max<std::size_t>(bytes, 1);
  // An address that a lost buffer still holds would be freed twice: set such a block aside until another is found.
  std::vector<std::uint64_t> set_aside;
  std::uint64_t address = ask_for_memory(asked);
  while (address != 0 && is_of_old_worker(address)) {
    set_aside.push_back(address);
    address = ask_for_memory(asked);
  }
  for (const std::uint64_t other : set_aside) {
    MessageWriter request;
    request.put(Request::free).put(other);
    ask(request.data(), "free");
  }
  if (address == 0) fail(ErrorKind::device, "the emulator is out of memory: {} bytes asked for", bytes);
  allocations_[address] = {.bytes = asked, .worker_generation = worker_generation_};
  return address;
}

void EmulatorDevice::free(DeviceAddress address) noexcept {
  const auto found = allocations_.find(address);
  if (found == allocations_.end()) return;
  const bool lost = found->second.worker_generation != worker_generation_ || !worker_ || !worker_->alive();
  allocations_.erase(found);
  if (lost) return;
  try {
    MessageWriter request;
    request.put(Request::free).put(address);
    ask(request.data(), "free");
  } catch (const std::exception&) {
    // The worker died; its memory is gone with it.
  }
}

void EmulatorDevice::require_range(DeviceAddress address, std::size_t bytes, const char* what) const {
  auto found = allocations_.upper_bound(address);
  if (found == allocations_.begin()) fail(ErrorKind::device, "{}: no emulator buffer at address {:#x}", what, address);
  --found;
  const std::uint64_t offset = address - found->first;
  if (offset > found->second.bytes || bytes > found->second.bytes - offset) {
    fail(ErrorKind::device, "{}: {} bytes at offset {} of an emulator buffer of {} bytes", what, bytes, offset,
         found->second.bytes);
  }
  if (found->second.worker_generation != worker_generation_ || !worker_ || !worker_->alive()) {
    fail(ErrorKind::device, "{}: the buffer was lost when the emulator's worker ended; allocate again", what);
  }
}

void EmulatorDevice::write(DeviceAddress destination, std::span<const std::byte> source) {
  require_range(destination, source.size(), "write");
  while (!source.empty()) {
    const auto chunk = source.first(std::min(source.size(), emulator::kChunkBytes));
    MessageWriter request;
    request.put(Request::write).put(destination).put_bytes(chunk);
    ask(request.data(), "write");
    destination += chunk.size();
    source = source.subspan(chunk.size());
  }
}

void EmulatorDevice::read(std::span<std::byte> destination, DeviceAddress source) {
  require_range(source, destination.size(), "read");
  while (!destination.empty()) {
    const std::size_t bytes = std::min(destination.size(), emulator::kChunkBytes);
    MessageWriter request;
    request.put(Request::read).put(source).put(static_cast<std::uint64_t>(bytes));
    const auto reply = ask(request.data(), "read");
    if (reply.size() != bytes) fail(ErrorKind::device, "read: the emulator sent {} of {} bytes", reply.size(), bytes);
    std::copy(reply.begin(), reply.end(), destination.begin());
    source += bytes;
    destination = destination.subspan(bytes);
  }
}

void EmulatorDevice::fill(DeviceAddress destination, std::byte value, std::size_t bytes) {
  require_range(destination, bytes, "fill");
  MessageWriter request;
  request.put(Request::fill).put(destination).put(value).put(static_cast<std::uint64_t>(bytes));
  ask(request.data(), "fill");
}

// ---- kernels

LoadedKernel EmulatorDevice::load(const PlanKernel& kernel) {
  if (kernel.source.empty()) {
    fail(ErrorKind::missing, "kernel '{}' carries no source, which the emulator compiles; make the plan again",
         kernel.entry);
  }
  kernels_[++last_kernel_] = {.entry = kernel.entry, .source = kernel.source, .shared_object = {}};
  return {.handle = last_kernel_};
}

void EmulatorDevice::unload(LoadedKernel kernel) noexcept {
  const auto found = kernels_.find(kernel.handle);
  if (found == kernels_.end()) return;
  const Kernel removed = found->second;
  kernels_.erase(found);
  if (removed.worker_handle == 0 || removed.worker_generation != worker_generation_ || !worker_->alive()) return;
  try {
    MessageWriter request;
    request.put(Request::unload).put(removed.worker_handle);
    ask(request.data(), "unload");
  } catch (const std::exception&) {
    // As for free().
  }
}

void EmulatorDevice::prepare(std::span<const std::string> sources) {
  compiler_.compile_batches(sources, kStubsPerCompile);
}

std::array<std::byte, kTensorMapBytes> EmulatorDevice::tensor_map(const TensorMapSpec& spec, DeviceAddress address) {
  const host::TiledMatrix matrix{reinterpret_cast<const u16*>(static_cast<std::uintptr_t>(address)), spec.rows,
                                 spec.columns, spec.ld, spec.box_rows};
  std::array<std::byte, kTensorMapBytes> map{};
  static_assert(sizeof matrix <= kTensorMapBytes);
  std::memcpy(map.data(), &matrix, sizeof matrix);
  return map;
}

// Compiles what the launches need and is not compiled yet: several stubs a run, as many runs at once as cores.
void EmulatorDevice::compile(std::span<const Launch> launches) {
  std::vector<Kernel*> pending;
  for (const Launch& launch : launches) {
    const auto found = kernels_.find(launch.kernel.handle);
    if (found == kernels_.end()) fail(ErrorKind::device, "launch '{}': its kernel is not loaded", launch.name);
    Kernel* kernel = &found->second;
    const bool known = std::find(pending.begin(), pending.end(), kernel) != pending.end();
    if (kernel->shared_object.empty() && !known) pending.push_back(kernel);
  }
  if (pending.empty()) return;
  std::vector<std::string> stubs;
  for (const Kernel* kernel : pending) stubs.push_back(kernel->source);
  const std::vector<emulator::HostCompileResult> results = compiler_.compile_batches(stubs, kStubsPerCompile);
  for (std::size_t i = 0; i < pending.size(); ++i) {
    // What is not the kernel's fault ends the job instead of counting against the kernel.
    if (!results[i].ok)
      fail(results[i].compiler_failed ? ErrorKind::missing : ErrorKind::device, "kernel '{}': {}", pending[i]->entry,
           results[i].error);
    pending[i]->shared_object = results[i].shared_object;
  }
}

std::unique_ptr<Executable> EmulatorDevice::capture(std::span<const Launch> launches) {
  emulator::execution_order(launches, options_.variant);  // refuses impossible waits now
  compile(launches);
  return std::make_unique<EmulatorExecutable>(*this, launches);
}

std::optional<Fault> EmulatorDevice::ensure_loaded(Kernel& kernel) {
  emulator::WorkerProcess& process = worker();
  if (kernel.worker_handle != 0 && kernel.worker_generation == worker_generation_) return std::nullopt;
  MessageWriter request;
  request.put(Request::load).put_text(kernel.shared_object.string()).put_text(kernel.entry);
  emulator::WorkerProcess::Reply reply = process.call(request.data(), kTransferTimeout);
  if (reply.failure) return reply.failure;
  MessageReader reader(reply.payload);
  kernel.worker_handle = reader.get<std::uint32_t>();
  kernel.worker_generation = worker_generation_;
  if (std::string error = reader.get_text(); !error.empty()) {
    kernel.worker_handle = 0;
    return Fault{.kind = FaultKind::load_failed, .detail = std::move(error)};
  }
  return std::nullopt;
}

LaunchOutcome EmulatorDevice::try_launch(const Launch& launch) {
  compile(std::span(&launch, 1));
  Kernel& kernel = kernels_.at(launch.kernel.handle);
  if (std::optional<Fault> fault = ensure_loaded(kernel)) return {.fault = std::move(fault), .stats = {}};
  if (launch.smem_bytes > options_.smem_bytes_per_block) {
    return {.fault = Fault{.kind = FaultKind::bad_launch,
                           .detail = fmt::format("{} bytes of shared memory, the limit is {}", launch.smem_bytes,
                                                 options_.smem_bytes_per_block)},
            .stats = {}};
  }
  MessageWriter request;
  request.put(Request::launch).put(launch_header(launch, kernel.worker_handle, options_)).put_bytes(launch.params);
  emulator::WorkerProcess::Reply reply = worker_->call(request.data(), options_.launch_timeout);
  if (reply.failure) return {.fault = std::move(reply.failure), .stats = {}};
  MessageReader reader(reply.payload);
  LaunchOutcome outcome;
  outcome.fault = emulator::get_fault(reader);
  outcome.stats = reader.get<emulator::LaunchStats>();
  if (!reader.complete()) outcome.fault = Fault{.kind = FaultKind::crash, .detail = "the worker's reply is damaged"};
  return outcome;
}

}  // namespace duet
