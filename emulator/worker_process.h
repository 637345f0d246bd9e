// A worker process of the emulator, whose death is a fault.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "base/child_process.h"
#include "emulator/fault.h"

namespace duet::emulator {

class WorkerProcess {
 public:
  // Throws Error(missing) when the executable cannot be started.
  explicit WorkerProcess(const std::filesystem::path& executable);

  struct Reply {
    std::vector<std::byte> payload;
    std::optional<Fault> failure;  // the worker is gone: sanitizer, crash or hang
  };
  // Sends a request and waits for its reply; a worker that takes longer is killed.
  Reply call(std::span<const std::byte> request, std::chrono::milliseconds timeout);

  bool alive() const { return child_.alive(); }
  pid_t process() const { return child_.process(); }

 private:
  ChildProcess child_;
};

// `sanitized`: duet-emulator-worker, else duet-emulator-worker-fast; in $DUET_EMULATOR_BIN_DIR, beside this executable,
// or in ../libexec/duet from there. Throws Error(missing) naming the places.
std::filesystem::path find_worker(bool sanitized);

}  // namespace duet::emulator
