// Many sources compiled over several threads, in the order they were asked for. Equal sources compile once.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "tuner/kernel_compiler.h"

namespace duet {

using CompileFuture = std::shared_future<CompileResult>;

class CompilePool {
 public:
  // `threads` 0: one per core. `compiler` must outlive the pool.
  CompilePool(KernelCompiler& compiler, int threads);
  // Drops what has not begun and waits for what has.
  ~CompilePool();
  CompilePool(const CompilePool&) = delete;
  CompilePool& operator=(const CompilePool&) = delete;

  // The future of an equal source asked for before is given again. An exception of the compiler (no NVRTC) is
  // rethrown by the future. After stop(), and for what stop() drops, the result is not ok and its log says "stopped".
  CompileFuture submit(const KernelSource& source, const std::string& arch);
  void stop();
  // Drops what has not begun, and may be asked again.
  void drop_queued();
  int threads() const { return static_cast<int>(workers_.size()); }

 private:
  struct Job {
    KernelSource source;
    std::string arch;
    std::string key;
    std::promise<CompileResult> promise;
  };
  void work();
  void run(Job& job);

  KernelCompiler& compiler_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::unique_ptr<Job>> queue_;
  std::map<std::string, CompileFuture> known_;  // by source and architecture
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

// All of them, results in order. Stops early when `stop` turns true: what had not begun is "stopped".
std::vector<CompileResult> compile_all(KernelCompiler& compiler, std::span<const KernelSource> sources,
                                       const std::string& arch, int threads, const std::atomic<bool>* stop = nullptr);

}  // namespace duet
