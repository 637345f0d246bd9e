// The parent's side of a worker: starts it, asks it, and turns its death into a fault.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "emulator/fault.h"

namespace duet::emulator {

class WorkerProcess {
 public:
  // Throws Error(missing) when the executable cannot be started.
  explicit WorkerProcess(const std::filesystem::path& executable);
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  struct Reply {
    std::vector<std::byte> payload;
    std::optional<Fault> failure;  // the worker is gone: sanitizer, crash or hang
  };
  // Sends a request and waits for its reply; a worker that takes longer is killed.
  Reply call(std::span<const std::byte> request, std::chrono::milliseconds timeout);

  bool alive() const { return process_ > 0; }
  pid_t process() const { return process_; }

 private:
  // Collects the exit status and what the worker wrote to stderr.
  Fault bury(bool timed_out, std::chrono::milliseconds timeout);
  std::string error_text() const;

  pid_t process_ = -1;
  int socket_ = -1;
  int errors_ = -1;  // an anonymous file that is the worker's stderr
};

// `sanitized`: duet-emulator-worker, else duet-emulator-worker-fast; in $DUET_EMULATOR_BIN_DIR, beside this executable,
// or in ../libexec/duet from there. Throws Error(missing) naming the places.
std::filesystem::path find_worker(bool sanitized);

}  // namespace duet::emulator
