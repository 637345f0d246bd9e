#include "runtime/weight_loading.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <functional>
#include <mutex>
#include <span>
#include <system_error>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/log.h"

namespace duet {
namespace {

// Each thread holds one finished weight in memory: few threads bound that, and the bus is the limit soon.
constexpr unsigned int kMaxThreads = 8;

class WeightLoader {
 public:
  // Takes finished weights, one at a time, with their offset in the weight space.
  using Sink = std::function<void(std::uint64_t offset, std::span<const std::byte> bytes)>;

  WeightLoader(const Plan& plan, const WeightProvider& weights, Sink sink)
      : plan_(plan), weights_(weights), sink_(std::move(sink)) {}

  void run() {
    const auto count = static_cast<unsigned int>(std::min<std::size_t>(plan_.weights.size(), kMaxThreads));
    const unsigned int helpers = std::min(std::max(std::thread::hardware_concurrency(), 1U), count);
    std::vector<std::thread> threads;
    try {
      for (unsigned int i = 1; i < helpers; ++i) threads.emplace_back([this] { work(); });
    } catch (const std::system_error&) {
      // No more threads to be had: those there are do the work.
    }
    work();
    for (std::thread& thread : threads) thread.join();
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void work() {
    while (true) {
      const std::size_t index = next_++;
      if (index >= plan_.weights.size() || failed_) return;
      try {
        load(plan_.weights[index]);
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (!failure_) failure_ = std::current_exception();
        failed_ = true;
      }
    }
  }

  void load(const PlanWeight& weight) {
    const std::vector<std::byte> bytes = make_weight(weight.recipe, weights_);
    if (weight.offset_bytes > plan_.weight_bytes || bytes.size() > plan_.weight_bytes - weight.offset_bytes) {
      fail(ErrorKind::internal, "weight {}: {} bytes at {} leave the weight space of {} bytes", weight.recipe.name,
           bytes.size(), weight.offset_bytes, plan_.weight_bytes);
    }
    const std::lock_guard lock(mutex_);
    sink_(weight.offset_bytes, bytes);
    report(bytes.size());
  }

  // One line for every tenth of the weights.
  void report(std::size_t bytes) {
    const std::uint64_t before = done_bytes_ * 10 / std::max<std::uint64_t>(plan_.weight_bytes, 1);
    done_bytes_ += bytes;
    ++done_;
    const std::uint64_t after = done_bytes_ * 10 / std::max<std::uint64_t>(plan_.weight_bytes, 1);
    if (after == before && done_ != plan_.weights.size()) return;
    log_at(1, "weights: {} of {}, {:.1f} MB", done_, plan_.weights.size(), static_cast<double>(done_bytes_) / 1e6);
  }

  const Plan& plan_;
  const WeightProvider& weights_;
  Sink sink_;
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;  // the sink, the failure and the progress
  std::exception_ptr failure_;
  std::uint64_t done_bytes_ = 0;
  std::size_t done_ = 0;
};

}  // namespace

void load_weights(Device& device, const Plan& plan, const WeightProvider& weights, DeviceAddress base) {
  if (plan.weights.empty()) return;
  WeightLoader(plan, weights, [&](std::uint64_t offset, std::span<const std::byte> bytes) {
    device.write(base + offset, bytes);
  }).run();
}

std::vector<std::byte> make_weight_space(const Plan& plan, const WeightProvider& weights) {
  std::vector<std::byte> space(plan.weight_bytes);
  if (plan.weights.empty()) return space;
  WeightLoader(plan, weights, [&](std::uint64_t offset, std::span<const std::byte> bytes) {
    std::copy(bytes.begin(), bytes.end(), space.begin() + static_cast<std::ptrdiff_t>(offset));
  }).run();
  return space;
}

}  // namespace duet
