// The worker's side: answers its parent's requests with a device, or a compiler, until the socket closes. Whatever a
// kernel or the compiler does to a process, it does to this one.
#pragma once

#include <functional>
#include <memory>

#include "isolation/protocol.h"
#include "runtime/device.h"
#include "tuner/kernel_compiler.h"

namespace duet {

struct WorkerTools {
  // Opens what the worker works with at the first request, so that the parent is told what fails. Either may be empty.
  std::function<std::unique_ptr<Device>()> open_device;
  std::function<std::unique_ptr<KernelCompiler>()> open_compiler;
  // Called with each kernel before it is loaded; for the fault drill.
  std::function<void(const PlanKernel&)> on_load;
};

// Serves the socket kChildSocket with the staging memory kStagingFile; returns when the parent is gone, and ends the
// process at once when it goes while a request is being served.
void serve_worker(const WorkerTools& tools);

}  // namespace duet
