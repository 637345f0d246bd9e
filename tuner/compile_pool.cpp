#include "tuner/compile_pool.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace duet {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(50);

int worker_count(int threads) {
  return threads > 0 ? threads : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

CompileResult stopped() {
  CompileResult result;
  result.log = "stopped";
  return result;
}

}  // namespace

CompilePool::CompilePool(KernelCompiler& compiler, int threads) : compiler_(compiler) {
  for (int i = 0; i < worker_count(threads); ++i) workers_.emplace_back([this] { work(); });
}

CompilePool::~CompilePool() {
  stop();
  for (std::thread& worker : workers_) worker.join();
}

CompileFuture CompilePool::submit(const KernelSource& source, const std::string& arch) {
  const std::string key = arch + '\n' + source.hash + '\n' + source.entry;
  const std::lock_guard lock(mutex_);
  if (const auto found = known_.find(key); found != known_.end()) return found->second;
  auto job = std::make_unique<Job>(Job{.source = source, .arch = arch, .key = key, .promise = {}});
  const CompileFuture future = job->promise.get_future().share();
  known_.emplace(key, future);
  if (stopping_) {
    job->promise.set_value(stopped());
  } else {
    queue_.push_back(std::move(job));
    wake_.notify_one();
  }
  return future;
}

void CompilePool::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  for (auto& job : queue_) job->promise.set_value(stopped());
  queue_.clear();
  wake_.notify_all();
}

void CompilePool::drop_queued() {
  const std::lock_guard lock(mutex_);
  for (auto& job : queue_) {
    known_.erase(job->key);
    job->promise.set_value(stopped());
  }
  queue_.clear();
}

void CompilePool::work() {
  while (true) {
    std::unique_ptr<Job> job;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      job = std::move(queue_.front());
      queue_.pop_front();
    }
    run(*job);
  }
}

void CompilePool::run(Job& job) {
  try {
    job.promise.set_value(compiler_.compile(job.source, job.arch));
  } catch (...) {
    job.promise.set_exception(std::current_exception());
  }
}

std::vector<CompileResult> compile_all(KernelCompiler& compiler, std::span<const KernelSource> sources,
                                       const std::string& arch, int threads, const std::atomic<bool>* stop) {
  CompilePool pool(compiler, threads);
  std::vector<CompileFuture> futures;
  for (const KernelSource& source : sources) futures.push_back(pool.submit(source, arch));
  std::vector<CompileResult> results;
  for (const CompileFuture& future : futures) {
    do {
      if (stop != nullptr && stop->load()) pool.stop();
    } while (future.wait_for(kPoll) != std::future_status::ready);
    results.push_back(future.get());
  }
  return results;
}

}  // namespace duet
