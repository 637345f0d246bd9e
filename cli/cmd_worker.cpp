// `duet worker`: the process in which `duet tune` runs candidates, or the compiler. Not for people: it speaks over a
// socket that its parent made.
#include "base/error.h"
#include "cli/command.h"
#include "cli/target.h"
#include "isolation/worker.h"
#include "tuner/fault_drill.h"
#include "tuner/nvrtc_compiler.h"

namespace duet {
namespace {

struct WorkerFlags {
  std::string target;
  int max_cuda_major = 0;
  double timeout_s = 0;
  bool obey_faults = false;
};

void work(const WorkerFlags& flags) {
  WorkerTools tools;
  if (flags.target.empty()) {
    tools.open_compiler = [&]() -> std::unique_ptr<KernelCompiler> {
      return std::make_unique<NvrtcCompiler>(flags.max_cuda_major > 0 ? std::optional(flags.max_cuda_major)
                                                                      : std::nullopt);
    };
  } else {
    tools.open_device = [&] { return open_device(flags.target, flags.timeout_s); };
  }
  if (flags.obey_faults) tools.on_load = obey_planted_fault;
  serve_worker(tools);
}

}  // namespace

void add_worker_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("worker", "What `duet tune` starts to run candidates in; not for people");
  command->group("");  // not in the list of commands
  auto flags = std::make_shared<WorkerFlags>();
  command->add_option("--target", flags->target, "A GPU, a slice or the emulator; none: compile");
  command->add_option("--max-cuda-major", flags->max_cuda_major, "The compiler may not be newer; 0: any");
  command->add_option("--timeout-s", flags->timeout_s, "Of a launch in the emulator");
  command->add_flag("--obey-faults", flags->obey_faults, "Abort or take all memory where a kernel's source says so");
  command->callback([flags] { work(*flags); });
}

}  // namespace duet
