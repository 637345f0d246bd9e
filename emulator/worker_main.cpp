// The child process that runs kernels: whatever they do to memory, they do it here. It holds the buffers, one malloc
// each, so that AddressSanitizer's redzones surround every one, and serves its parent until the socket closes.
#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "base/child_process.h"
#include "base/message.h"
#include "emulator/intrinsics_host.h"
#include "emulator/launch.h"
#include "emulator/protocol.h"
#include "emulator/sanitizer.h"

#if defined(DUET_EMULATOR_ASAN)
// Fibers have stacks of their own, where AddressSanitizer's fake stacks would only mislead it. The kernel's shared
// objects hold no heap, so leaks would be the worker's, which ends by _exit.
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() {
  return "detect_stack_use_after_return=0:detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=65536:"
         "quarantine_size_mb=64:exitcode=99";
}
extern "C" const char* __ubsan_default_options();
extern "C" const char* __ubsan_default_options() { return "halt_on_error=1:print_stacktrace=1:exitcode=99"; }
#endif

namespace duet::emulator {
namespace {

struct LoadedObject {
  void* library = nullptr;
  KernelEntry entry = nullptr;
  DuetEmulatorKernelInfo info{};
};

std::byte* pointer(std::uint64_t address) { return reinterpret_cast<std::byte*>(static_cast<std::uintptr_t>(address)); }

class Worker {
 public:
  void serve(int socket) {
    std::vector<std::byte> request;
    while (receive_message(socket, request) == ReceiveStatus::ok) {
      MessageReader reader(request);
      MessageWriter reply;
      handle(reader, reply);
      if (!send_message(socket, reply.data())) return;
    }
  }

 private:
  void handle(MessageReader& request, MessageWriter& reply) {
    switch (request.get<Request>()) {
      case Request::allocate:
        return allocate(request, reply);
      case Request::free:
        return std::free(pointer(request.get<std::uint64_t>()));
      case Request::write:
        return write(request);
      case Request::read:
        return read(request, reply);
      case Request::fill:
        return fill(request);
      case Request::load:
        return load(request, reply);
      case Request::unload:
        return unload(request);
      case Request::launch:
        return launch(request, reply);
    }
  }

  static void allocate(MessageReader& request, MessageWriter& reply) {
    const auto bytes = static_cast<std::size_t>(request.get<std::uint64_t>());
    const auto value = request.get<std::byte>();
    void* memory = nullptr;
    if (posix_memalign(&memory, kBufferAlignment, bytes) != 0) memory = nullptr;
    if (memory != nullptr) std::memset(memory, std::to_integer<int>(value), bytes);
    reply.put(static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(memory)));
  }

  static void write(MessageReader& request) {
    std::byte* destination = pointer(request.get<std::uint64_t>());
    const auto data = request.rest();
    if (!data.empty()) std::memcpy(destination, data.data(), data.size());
  }

  static void read(MessageReader& request, MessageWriter& reply) {
    const std::byte* source = pointer(request.get<std::uint64_t>());
    reply.put_bytes({source, static_cast<std::size_t>(request.get<std::uint64_t>())});
  }

  static void fill(MessageReader& request) {
    std::byte* destination = pointer(request.get<std::uint64_t>());
    const auto value = request.get<std::byte>();
    std::memset(destination, std::to_integer<int>(value), static_cast<std::size_t>(request.get<std::uint64_t>()));
  }

  void load(MessageReader& request, MessageWriter& reply) {
    const std::string path = request.get_text(), entry = request.get_text();
    LoadedObject object;
    std::string error;
    object.library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (object.library != nullptr) {
      object.entry = reinterpret_cast<KernelEntry>(dlsym(object.library, entry.c_str()));
      const void* info = dlsym(object.library, (entry + "_info").c_str());
      if (info != nullptr) object.info = *static_cast<const DuetEmulatorKernelInfo*>(info);
      if (object.entry == nullptr || info == nullptr) error = "no kernel named '" + entry + "' in " + path;
    } else {
      error = dlerror();
    }
    if (error.empty()) kernels_[++last_kernel_] = object;
    reply.put(last_kernel_).put_text(error);
  }

  void unload(MessageReader& request) {
    const auto found = kernels_.find(request.get<std::uint32_t>());
    if (found == kernels_.end()) return;
    dlclose(found->second.library);
    kernels_.erase(found);
  }

  void launch(MessageReader& request, MessageWriter& reply) {
    const auto header = request.get<LaunchHeader>();
    const auto params = request.rest();
    LaunchOutcome outcome;
    if (std::string error = launch_error(header, params.size()); error.empty()) {
      outcome = run(header, params);
    } else {
      outcome.fault = Fault{.kind = FaultKind::bad_launch, .detail = std::move(error)};
    }
    put_fault(reply, outcome.fault);
    reply.put(outcome.stats);
  }

  std::string launch_error(const LaunchHeader& header, std::size_t param_bytes) const {
    const auto found = kernels_.find(header.kernel);
    if (found == kernels_.end()) return "the kernel is not loaded";
    const DuetEmulatorKernelInfo& info = found->second.info;
    if (header.threads != info.threads) {
      return "the kernel is built for " + std::to_string(info.threads) + " threads, launched with " +
             std::to_string(header.threads);
    }
    if (param_bytes != info.param_bytes) {
      return "the kernel takes " + std::to_string(info.param_bytes) + " bytes of parameters, given " +
             std::to_string(param_bytes);
    }
    return {};
  }

  LaunchOutcome run(const LaunchHeader& header, std::span<const std::byte> params) const {
    struct alignas(64) Line {
      std::byte bytes[64];
    };
    std::vector<Line> aligned(params.size() / sizeof(Line) + 1);
    if (!params.empty()) std::memcpy(aligned.data(), params.data(), params.size());
    return run_grid({.entry = kernels_.at(header.kernel).entry,
                     .params = aligned.data(),
                     .grid = {header.grid[0], header.grid[1], header.grid[2]},
                     .threads = header.threads,
                     .smem_bytes = header.smem_bytes,
                     .variant = {.order = static_cast<ThreadOrder>(header.order),
                                 .landing = static_cast<CopyLanding>(header.landing),
                                 .poison = static_cast<PoisonPattern>(header.poison),
                                 .seed = header.seed,
                                 .blocks = static_cast<BlockOrder>(header.blocks)}});
  }

  std::map<std::uint32_t, LoadedObject> kernels_;
  std::uint32_t last_kernel_ = 0;
};

}  // namespace
}  // namespace duet::emulator

int main() {
  duet::exit_when_closed(duet::kChildSocket);
  duet::emulator::Worker().serve(duet::kChildSocket);
  _exit(0);
}
