#include "runtime/cuda/graph_timer.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace duet {
namespace {

constexpr std::int64_t kLeastFlushBytes = 8 << 20;  // where the driver does not tell the size of L2
constexpr int kWarmUpReplays = 3;
constexpr int kUntimedReplays = 2;  // bring the caches back after the flush
constexpr int kMaxFlushes = 256;

std::size_t flush_bytes(const DeviceInfo& info) {
  return static_cast<std::size_t>(std::max(2 * info.fingerprint.l2_bytes, kLeastFlushBytes));
}

}  // namespace

GraphTimer::GraphTimer(const CudaContext& context, Device& device, CUstream stream, CUgraphExec graph)
    : driver_(context.driver()),
      stream_(stream),
      graph_(graph),
      start_(context.make_event(CU_EVENT_DEFAULT)),
      stop_(context.make_event(CU_EVENT_DEFAULT)),
      flush_buffer_(device, flush_bytes(device.info())) {}

std::vector<double> GraphTimer::time_us(int samples, CacheState caches) {
  warm_up();
  if (flushes_ == 0) calibrate();
  std::vector<double> times;
  times.reserve(static_cast<std::size_t>(samples));
  for (int i = 0; i < samples; ++i) times.push_back(time_replay_us(caches));
  return times;
}

void GraphTimer::warm_up() {
  for (int i = 0; i < kWarmUpReplays; ++i) replay();
  DUET_CUDA_CHECK(driver_, cuStreamSynchronize(stream_));
}

// How many flushes keep the GPU busy for twice the time the host takes to enqueue one sample.
void GraphTimer::calibrate() {
  flush();
  record(start_);
  flush();
  record(stop_);
  const double flush_us = std::max(elapsed_us(), 1.0);

  const auto begin = std::chrono::steady_clock::now();
  record(start_);
  for (int i = 0; i < kUntimedReplays + 1; ++i) replay();
  record(stop_);
  const auto end = std::chrono::steady_clock::now();
  DUET_CUDA_CHECK(driver_, cuStreamSynchronize(stream_));
  const double enqueue_us = std::chrono::duration<double, std::micro>(end - begin).count();
  flushes_ = static_cast<int>(std::clamp(std::ceil(2 * enqueue_us / flush_us), 1.0, double{kMaxFlushes}));
}

double GraphTimer::time_replay_us(CacheState caches) {
  for (int i = 0; i < flushes_; ++i) flush();
  if (caches == CacheState::warm) {
    for (int i = 0; i < kUntimedReplays; ++i) replay();
  }
  record(start_);
  replay();
  record(stop_);
  return elapsed_us();
}

void GraphTimer::flush() {
  DUET_CUDA_CHECK(driver_, cuMemsetD8Async(flush_buffer_.address(), 0, flush_buffer_.bytes(), stream_));
}

void GraphTimer::replay() { DUET_CUDA_CHECK(driver_, cuGraphLaunch(graph_, stream_)); }

void GraphTimer::record(const CudaEvent& event) { DUET_CUDA_CHECK(driver_, cuEventRecord(event.get(), stream_)); }

double GraphTimer::elapsed_us() {
  DUET_CUDA_CHECK(driver_, cuStreamSynchronize(stream_));
  float milliseconds = 0;
  DUET_CUDA_CHECK(driver_, cuEventElapsedTime(&milliseconds, start_.get(), stop_.get()));
  return static_cast<double>(milliseconds) * 1000.0;
}

}  // namespace duet
