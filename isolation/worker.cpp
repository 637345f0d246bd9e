#include "isolation/worker.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <map>
#include <new>
#include <utility>

#include "base/error.h"
#include "isolation/staging.h"

namespace duet {
namespace {

// Where memory runs short, the worker is what the kernel's killer should take, not the tuning run.
void offer_to_memory_killer() {
  constexpr std::string_view kScore = "800";
  const int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  [[maybe_unused]] const ssize_t written = write(file, kScore.data(), kScore.size());
  close(file);
}

class Worker {
 public:
  explicit Worker(const WorkerTools& tools) : tools_(tools) {}

  void serve(int socket) {
    std::vector<std::byte> request;
    while (receive_message(socket, request) == ReceiveStatus::ok)
      if (!send_message(socket, answer(request).data())) return;
  }

 private:
  MessageWriter answer(std::span<const std::byte> request) {
    MessageWriter reply;
    try {
      MessageReader reader(request);
      reply.put(ReplyStatus::ok);
      handle(reader, reply);
      return reply;
    } catch (const Error& error) {
      return failure(error.kind(), error.what());
    } catch (const std::bad_alloc&) {
      return failure(ErrorKind::device, "the worker is out of memory");
    } catch (const std::exception& error) {
      return failure(ErrorKind::internal, error.what());
    }
  }

  static MessageWriter failure(ErrorKind kind, std::string_view text) {
    MessageWriter reply;
    put_failure(reply, kind, text);
    return reply;
  }

  Device& device() {
    if (!tools_.open_device) fail(ErrorKind::internal, "this worker has no device");
    if (!device_) device_ = tools_.open_device();
    return *device_;
  }

  KernelCompiler& compiler() {
    if (!tools_.open_compiler) fail(ErrorKind::internal, "this worker has no compiler");
    if (!compiler_) compiler_ = tools_.open_compiler();
    return *compiler_;
  }

  std::span<std::byte> staged(std::uint64_t bytes) {
    if (!staging_) staging_.emplace(kStagingFile);
    if (bytes > staging_->bytes().size())
      fail(ErrorKind::internal, "a transfer of {} bytes, the staging memory has {}", bytes, staging_->bytes().size());
    return staging_->bytes().first(static_cast<std::size_t>(bytes));
  }

  Executable& executable(std::uint64_t handle) {
    const auto found = executables_.find(handle);
    if (found == executables_.end()) fail(ErrorKind::internal, "the worker has no executable {}", handle);
    return *found->second;
  }

  void handle(MessageReader& request, MessageWriter& reply) {
    switch (request.get<WorkerRequest>()) {
      case WorkerRequest::hello:
        return put_device_info(reply, device().info());
      case WorkerRequest::environment:
        return static_cast<void>(reply.put_text(device().environment_text()));
      case WorkerRequest::state:
        return put_state(reply, device().state());
      case WorkerRequest::energy:
        return energy(reply);
      case WorkerRequest::allocate:
        return allocate(request, reply);
      case WorkerRequest::free:
        return device().free(last<std::uint64_t>(request));
      case WorkerRequest::write:
        return write(request);
      case WorkerRequest::read:
        return read(request);
      case WorkerRequest::fill:
        return fill(request);
      case WorkerRequest::load:
        return load(request, reply);
      case WorkerRequest::unload:
        return device().unload({last<std::uint64_t>(request)});
      case WorkerRequest::prepare:
        return prepare(request);
      case WorkerRequest::tensor_map:
        return tensor_map(request, reply);
      case WorkerRequest::capture:
        return capture(request, reply);
      case WorkerRequest::release:
        return static_cast<void>(executables_.erase(last<std::uint64_t>(request)));
      case WorkerRequest::beside:
        return capture_beside(request, reply);
      case WorkerRequest::run:
        return run(request);
      case WorkerRequest::time:
        return time(request, reply);
      case WorkerRequest::compile:
        return compile(request, reply);
    }
    fail(ErrorKind::internal, "the worker was asked for something that it does not know");
  }

  // The last value of a request.
  template <typename T>
  static T last(MessageReader& request) {
    const T value = request.get<T>();
    require_whole(request);
    return value;
  }

  // One counter from the first question on: differences count.
  void energy(MessageWriter& reply) {
    if (!energy_) energy_ = device().energy_counter();
    reply.put(static_cast<std::uint8_t>(energy_ != nullptr)).put(energy_ ? energy_->read_mj() : 0.0);
  }

  // ---- memory

  void allocate(MessageReader& request, MessageWriter& reply) {
    reply.put(device().allocate(static_cast<std::size_t>(last<std::uint64_t>(request))));
  }

  void write(MessageReader& request) {
    const auto address = request.get<DeviceAddress>();
    device().write(address, staged(last<std::uint64_t>(request)));
  }

  void read(MessageReader& request) {
    const auto address = request.get<DeviceAddress>();
    device().read(staged(last<std::uint64_t>(request)), address);
  }

  void fill(MessageReader& request) {
    const auto address = request.get<DeviceAddress>();
    const auto value = request.get<std::byte>();
    device().fill(address, value, static_cast<std::size_t>(last<std::uint64_t>(request)));
  }

  void tensor_map(MessageReader& request, MessageWriter& reply) {
    const auto spec = request.get<TensorMapSpec>();
    reply.put(device().tensor_map(spec, last<DeviceAddress>(request)));
  }

  // ---- kernels

  void load(MessageReader& request, MessageWriter& reply) {
    const PlanKernel kernel = get_kernel(request);
    require_whole(request);
    if (tools_.on_load) tools_.on_load(kernel);
    reply.put(device().load(kernel).handle);
  }

  void prepare(MessageReader& request) {
    const std::vector<std::string> sources = get_texts(request);
    require_whole(request);
    device().prepare(sources);
  }

  void capture(MessageReader& request, MessageWriter& reply) {
    const std::vector<Launch> launches = get_launches(request);
    require_whole(request);
    executables_[++last_executable_] = device().capture(launches);
    reply.put(last_executable_);
  }

  void capture_beside(MessageReader& request, MessageWriter& reply) {
    const std::vector<Launch> launches = get_launches(request);
    const Background background = get_background(request);
    require_whole(request);
    executables_[++last_executable_] = device().capture_beside(launches, background);
    reply.put(last_executable_);
  }

  void run(MessageReader& request) {
    Executable& found = executable(request.get<std::uint64_t>());
    const auto count = last<std::int32_t>(request);
    count == 1 ? found.run() : found.run_queued(count);
  }

  void time(MessageReader& request, MessageWriter& reply) {
    Executable& found = executable(request.get<std::uint64_t>());
    const auto samples = request.get<std::int32_t>();
    const bool cold = last<std::uint8_t>(request) != 0;
    const std::vector<double> times = found.time_us(samples, cold ? CacheState::cold : CacheState::warm);
    reply.put_list(std::span(times));
  }

  void compile(MessageReader& request, MessageWriter& reply) {
    const KernelSource source = get_source(request);
    const std::string arch = request.get_text();
    require_whole(request);
    put_compile_result(reply, compiler().compile(source, arch));
  }

  const WorkerTools& tools_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<EnergyCounter> energy_;
  std::unique_ptr<KernelCompiler> compiler_;
  std::optional<StagingMemory> staging_;
  std::map<std::uint64_t, std::unique_ptr<Executable>> executables_;
  std::uint64_t last_executable_ = 0;
};

}  // namespace

void serve_worker(const WorkerTools& tools) {
  offer_to_memory_killer();
  exit_when_closed(kChildSocket);
  Worker(tools).serve(kChildSocket);
}

}  // namespace duet
