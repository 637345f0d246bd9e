#include "isolation/isolated_device.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "base/error.h"
#include "base/log.h"

namespace duet {

namespace {

using std::chrono::milliseconds;

// Opening a driver, and a device that compiles what it loads, take their time.
constexpr milliseconds kStartTimeout{120'000};
constexpr milliseconds kLoadTimeout{300'000};
constexpr milliseconds kPrepareTimeout{3'600'000};  // thousands of sources; each has a deadline of its own there

MessageWriter request_of(WorkerRequest request) {
  MessageWriter message;
  message.put(request);
  return message;
}

}  // namespace

// The launches themselves are in the worker.
class IsolatedExecutable final : public Executable {
 public:
  IsolatedExecutable(IsolatedDevice& device, std::uint64_t handle, std::string name, milliseconds timeout)
      : device_(device), handle_(handle), generation_(device.generation_), name_(std::move(name)), timeout_(timeout) {}
  ~IsolatedExecutable() override {
    device_.tell_if_alive(request_of(WorkerRequest::release).put(handle_), generation_);
  }
  IsolatedExecutable(const IsolatedExecutable&) = delete;
  IsolatedExecutable& operator=(const IsolatedExecutable&) = delete;

  void run() override { run_queued(1); }

  void run_queued(int count) override {
    device_.require_current(generation_, name_);
    device_.ask(request_of(WorkerRequest::run).put(handle_).put(std::int32_t{count}), timeout_ * std::max(count, 1),
                name_);
  }

  std::vector<double> time_us(int samples, CacheState caches) override {
    device_.require_current(generation_, name_);
    MessageWriter request = request_of(WorkerRequest::time);
    request.put(handle_).put(std::int32_t{samples}).put(static_cast<std::uint8_t>(caches == CacheState::cold));
    const std::vector<std::byte> reply = device_.ask(request, timeout_, name_);
    MessageReader reader(reply);
    std::vector<double> times = reader.get_list<double>();
    require_whole(reader);
    return times;
  }

 private:
  IsolatedDevice& device_;
  std::uint64_t handle_;
  int generation_;
  std::string name_;  // of its launch, or its first and how many
  milliseconds timeout_;
};

// A new worker counts from another moment on.
class IsolatedEnergy final : public EnergyCounter {
 public:
  explicit IsolatedEnergy(const IsolatedDevice& device) : device_(device), generation_(device.generation_) {}
  double read_mj() override {
    device_.require_current(generation_, "the energy counter");
    return device_.ask_energy().value_or(0);
  }

 private:
  const IsolatedDevice& device_;
  int generation_;
};

IsolatedDevice::IsolatedDevice(IsolationOptions options) : options_(std::move(options)) { ensure_worker(); }

IsolatedDevice::~IsolatedDevice() = default;

void IsolatedDevice::ensure_worker() {
  if (worker_ && worker_->alive()) return;
  worker_ = std::make_unique<ChildProcess>(ChildOptions{
      .command = options_.command, .files = {staging_.file()}, .memory_limit_bytes = options_.memory_limit_bytes});
  ++generation_;
  try {
    const std::vector<std::byte> reply = ask(request_of(WorkerRequest::hello), kStartTimeout, "opening the device");
    MessageReader reader(reply);
    info_ = get_device_info(reader);
    require_whole(reader);
  } catch (...) {
    worker_.reset();  // it has no device
    throw;
  }
  if (generation_ > 1) log_at(1, "worker process {} of {} started", generation_, info_.fingerprint.module);
}

std::vector<std::byte> IsolatedDevice::ask(const MessageWriter& request, milliseconds timeout,
                                           const std::string& what) const {
  ChildProcess::Reply answer = worker_->call(request.data(), timeout);
  if (answer.end) {
    worker_.reset();
    fail(ErrorKind::device, "{}: the worker process {}", what, describe(*answer.end));
  }
  MessageReader reader(answer.payload);
  if (reader.get<ReplyStatus>() == ReplyStatus::ok && reader.complete()) {
    answer.payload.erase(answer.payload.begin(), answer.payload.begin() + sizeof(ReplyStatus));
    return std::move(answer.payload);
  }
  const Error error = get_failure(reader);
  if (!reader.complete()) {
    worker_.reset();
    fail(ErrorKind::device, "{}: the worker process sent a damaged reply", what);
  }
  // A context may be dead after an error, and memory lost: the next candidate gets a fresh one.
  if (error.kind() == ErrorKind::device) worker_.reset();
  throw error;
}

template <typename T>
T IsolatedDevice::ask_for(const MessageWriter& request, milliseconds timeout, const std::string& what) const {
  const std::vector<std::byte> reply = ask(request, timeout, what);
  MessageReader reader(reply);
  const T value = reader.get<T>();
  require_whole(reader);
  return value;
}

bool IsolatedDevice::is_current(int generation) const {
  return generation == generation_ && worker_ && worker_->alive();
}

void IsolatedDevice::require_current(int generation, const std::string& what) const {
  if (!is_current(generation))
    fail(ErrorKind::device, "{}: what it needs was lost when the worker process ended; allocate and load again", what);
}

void IsolatedDevice::tell_if_alive(const MessageWriter& request, int generation) noexcept {
  if (!is_current(generation)) return;
  try {
    ask(request, options_.timeout, "giving back");
  } catch (const std::exception&) {
    // The worker ended, and everything of it with it.
  }
}

std::string IsolatedDevice::environment_text() const {
  if (!is_current(generation_)) return Device::environment_text();
  const std::vector<std::byte> reply = ask(request_of(WorkerRequest::environment), kStartTimeout, "the environment");
  MessageReader reader(reply);
  std::string text = reader.get_text();
  require_whole(reader);
  return text;
}

std::optional<DeviceState> IsolatedDevice::state() const {
  if (!is_current(generation_)) return std::nullopt;
  const std::vector<std::byte> reply = ask(request_of(WorkerRequest::state), options_.timeout, "the device's state");
  MessageReader reader(reply);
  std::optional<DeviceState> state = get_state(reader);
  require_whole(reader);
  return state;
}

// ---- memory

std::optional<double> IsolatedDevice::ask_energy() const {
  const std::vector<std::byte> reply = ask(request_of(WorkerRequest::energy), options_.timeout, "the energy counter");
  MessageReader reader(reply);
  const bool counted = reader.get<std::uint8_t>() != 0;
  const auto energy_mj = reader.get<double>();
  require_whole(reader);
  return counted ? std::optional(energy_mj) : std::nullopt;
}

std::unique_ptr<EnergyCounter> IsolatedDevice::energy_counter() const {
  if (!is_current(generation_) || !ask_energy()) return nullptr;
  return std::make_unique<IsolatedEnergy>(*this);
}

DeviceAddress IsolatedDevice::allocate(std::size_t bytes) {
  ensure_worker();
  const auto ask_for_memory = [&] {
    return ask_for<DeviceAddress>(request_of(WorkerRequest::allocate).put(std::uint64_t{bytes}), options_.timeout,
                                  "allocating");
  };
  // An address that a lost buffer still holds would be given back twice: such a block is set aside until another is
  // found.
  std::vector<DeviceAddress> set_aside;
  DeviceAddress address = ask_for_memory();
  while (allocations_.contains(address)) {
    set_aside.push_back(address);
    address = ask_for_memory();
  }
  for (const DeviceAddress other : set_aside)
    ask(request_of(WorkerRequest::free).put(other), options_.timeout, "freeing");
  allocations_[address] = generation_;
  return address;
}

void IsolatedDevice::free(DeviceAddress address) noexcept {
  const auto found = allocations_.find(address);
  if (found == allocations_.end()) return;
  const int generation = found->second;
  allocations_.erase(found);
  tell_if_alive(request_of(WorkerRequest::free).put(address), generation);
}

void IsolatedDevice::require_buffer(DeviceAddress address, const std::string& what) const {
  const auto next = allocations_.upper_bound(address);
  if (next == allocations_.begin()) fail(ErrorKind::device, "{}: there is none at {:#x}", what, address);
  require_current(std::prev(next)->second, what);
}

void IsolatedDevice::write(DeviceAddress destination, std::span<const std::byte> source) {
  require_buffer(destination, "writing a buffer");
  while (!source.empty()) {
    const auto chunk = source.first(std::min(source.size(), staging_.bytes().size()));
    std::memcpy(staging_.bytes().data(), chunk.data(), chunk.size());
    ask(request_of(WorkerRequest::write).put(destination).put(std::uint64_t{chunk.size()}), options_.timeout,
        "writing a buffer");
    destination += chunk.size();
    source = source.subspan(chunk.size());
  }
}

void IsolatedDevice::read(std::span<std::byte> destination, DeviceAddress source) {
  require_buffer(source, "reading a buffer");
  while (!destination.empty()) {
    const std::size_t bytes = std::min(destination.size(), staging_.bytes().size());
    ask(request_of(WorkerRequest::read).put(source).put(std::uint64_t{bytes}), options_.timeout, "reading a buffer");
    std::memcpy(destination.data(), staging_.bytes().data(), bytes);
    source += bytes;
    destination = destination.subspan(bytes);
  }
}

void IsolatedDevice::fill(DeviceAddress destination, std::byte value, std::size_t bytes) {
  require_buffer(destination, "filling a buffer");
  ask(request_of(WorkerRequest::fill).put(destination).put(value).put(std::uint64_t{bytes}), options_.timeout,
      "filling a buffer");
}

std::array<std::byte, kTensorMapBytes> IsolatedDevice::tensor_map(const TensorMapSpec& spec, DeviceAddress address) {
  require_buffer(address, "a tensor map");
  return ask_for<std::array<std::byte, kTensorMapBytes>>(request_of(WorkerRequest::tensor_map).put(spec).put(address),
                                                         options_.timeout, "a tensor map");
}

// ---- kernels

LoadedKernel IsolatedDevice::load(const PlanKernel& kernel) {
  ensure_worker();
  MessageWriter request = request_of(WorkerRequest::load);
  put_kernel(request, kernel);
  const auto handle = ask_for<std::uint64_t>(request, kLoadTimeout, "kernel " + kernel.entry);
  kernels_[++last_kernel_] = {.handle = handle, .generation = generation_};
  return {last_kernel_};
}

void IsolatedDevice::unload(LoadedKernel kernel) noexcept {
  const auto found = kernels_.find(kernel.handle);
  if (found == kernels_.end()) return;
  const Kernel removed = found->second;
  kernels_.erase(found);
  tell_if_alive(request_of(WorkerRequest::unload).put(removed.handle), removed.generation);
}

void IsolatedDevice::prepare(std::span<const std::string> sources) {
  ensure_worker();
  MessageWriter request = request_of(WorkerRequest::prepare);
  put_texts(request, sources);
  ask(request, kPrepareTimeout, "preparing kernels");
}

Launch IsolatedDevice::there(const Launch& launch) const {
  const auto found = kernels_.find(launch.kernel.handle);
  if (found == kernels_.end()) fail(ErrorKind::device, "launch '{}': its kernel is not loaded", launch.name);
  require_current(found->second.generation, launch.name);
  Launch there = launch;
  there.kernel.handle = found->second.handle;
  return there;
}

std::vector<Launch> IsolatedDevice::there(std::span<const Launch> launches) const {
  std::vector<Launch> known;
  for (const Launch& launch : launches) known.push_back(there(launch));
  require_current(generation_, "an empty capture");
  return known;
}

std::unique_ptr<Executable> IsolatedDevice::make_executable(const MessageWriter& request,
                                                            std::span<const Launch> launches) {
  const std::string name =
      launches.empty() ? "no launch" : "kernel '" + launches.front().name + (launches.size() > 1 ? "' and more" : "'");
  const auto handle = ask_for<std::uint64_t>(request, kLoadTimeout, name);
  // A device that measures takes microseconds a launch; the emulator may need a deadline for each.
  const auto launch_count = static_cast<int>(std::max<std::size_t>(launches.size(), 1));
  const milliseconds timeout = info_.can_measure ? options_.timeout : options_.timeout * launch_count;
  return std::make_unique<IsolatedExecutable>(*this, handle, name, timeout);
}

std::unique_ptr<Executable> IsolatedDevice::capture(std::span<const Launch> launches) {
  MessageWriter request = request_of(WorkerRequest::capture);
  put_launches(request, there(launches));
  return make_executable(request, launches);
}

std::unique_ptr<Executable> IsolatedDevice::capture_beside(std::span<const Launch> launches,
                                                           const Background& background) {
  for (const DeviceAddress word : {background.stop, background.started, background.expired})
    require_buffer(word, "a background");
  Background known = background;
  known.launch = there(background.launch);
  MessageWriter request = request_of(WorkerRequest::beside);
  put_launches(request, there(launches));
  put_background(request, known);
  return make_executable(request, launches);
}

}  // namespace duet
