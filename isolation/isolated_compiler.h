// A KernelCompiler whose work is done in worker processes, one for each thread that compiles: a source that crashes or
// hangs the compiler costs its process, and nothing else.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/child_process.h"
#include "isolation/isolated_device.h"
#include "tuner/kernel_compiler.h"

namespace duet {

class IsolatedCompiler final : public KernelCompiler {
 public:
  // `described` says version and options, as the workers' own would: it must outlive this. Processes are kept and used
  // again, and start when they are needed.
  IsolatedCompiler(const KernelCompiler& described, IsolationOptions options);

  // Where the process ended: not ok, with CompileResult::failure and the cause as its log.
  CompileResult compile(const KernelSource& source, const std::string& arch) override;
  std::string version() const override { return described_.version(); }
  std::string options() const override { return described_.options(); }

 private:
  std::unique_ptr<ChildProcess> take_worker();
  void give_back(std::unique_ptr<ChildProcess> worker);

  const KernelCompiler& described_;
  IsolationOptions options_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<ChildProcess>> idle_;
};

}  // namespace duet
