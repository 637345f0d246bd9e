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
constexpr int kMaxSamplesPerFlush = 16;
constexpr double kAhead = 2;  // times longer than the host takes is long enough for it to stay ahead

std::size_t flush_bytes(const DeviceInfo& info) {
  return static_cast<std::size_t>(std::max(2 * info.fingerprint.l2_bytes, kLeastFlushBytes));
}

}  // namespace

GraphTimer::GraphTimer(const CudaContext& context, Device& device, CUstream stream, CUgraphExec graph)
    : driver_(context.driver()), stream_(stream), graph_(graph), flush_buffer_(device, flush_bytes(device.info())) {
  for (int i = 0; i <= kMaxSamplesPerFlush; ++i) events_.push_back(context.make_event(CU_EVENT_DEFAULT));
}

std::vector<double> GraphTimer::time_us(int samples, CacheState caches) {
  if (flushes_ == 0) calibrate();
  std::vector<double> times;
  times.reserve(static_cast<std::size_t>(samples));
  const int most = samples_per_flush(caches);
  for (int left = samples; left > 0; left -= most) time_replays(std::min(left, most), caches, times);
  return times;
}

int GraphTimer::samples_per_flush(CacheState caches) const {
  return caches == CacheState::warm && launches_ahead_ ? kMaxSamplesPerFlush : 1;
}

// How many flushes keep the GPU busy for twice the time the host takes to enqueue one sample, and whether replays do.
void GraphTimer::calibrate() {
  replay(kWarmUpReplays);
  flush();
  record(events_[0]);
  flush();
  record(events_[1]);
  synchronize();
  const double flush_us = std::max(elapsed_us(events_[0], events_[1]), 1.0);

  const auto begin = std::chrono::steady_clock::now();
  record(events_[0]);
  replay(kUntimedReplays + 1);
  record(events_[1]);
  const auto end = std::chrono::steady_clock::now();
  synchronize();
  const double enqueue_us = std::chrono::duration<double, std::micro>(end - begin).count();
  flushes_ = static_cast<int>(std::clamp(std::ceil(kAhead * enqueue_us / flush_us), 1.0, double{kMaxFlushes}));
  launches_ahead_ = elapsed_us(events_[0], events_[1]) >= kAhead * enqueue_us;
}

void GraphTimer::time_replays(int count, CacheState caches, std::vector<double>& times_us) {
  for (int i = 0; i < flushes_; ++i) flush();
  if (caches == CacheState::warm) replay(kUntimedReplays);
  record(events_[0]);
  for (std::size_t i = 1; i <= static_cast<std::size_t>(count); ++i) {
    replay(1);
    record(events_[i]);
  }
  synchronize();
  for (std::size_t i = 1; i <= static_cast<std::size_t>(count); ++i)
    times_us.push_back(elapsed_us(events_[i - 1], events_[i]));
}

void GraphTimer::flush() {
  DUET_CUDA_CHECK(driver_, cuMemsetD8Async(flush_buffer_.address(), 0, flush_buffer_.bytes(), stream_));
}

void GraphTimer::replay(int count) {
  for (int i = 0; i < count; ++i) DUET_CUDA_CHECK(driver_, cuGraphLaunch(graph_, stream_));
}

void GraphTimer::record(const CudaEvent& event) { DUET_CUDA_CHECK(driver_, cuEventRecord(event.get(), stream_)); }

void GraphTimer::synchronize() { DUET_CUDA_CHECK(driver_, cuStreamSynchronize(stream_)); }

// Both have happened.
double GraphTimer::elapsed_us(const CudaEvent& start, const CudaEvent& stop) const {
  float milliseconds = 0;
  DUET_CUDA_CHECK(driver_, cuEventElapsedTime(&milliseconds, start.get(), stop.get()));
  return static_cast<double>(milliseconds) * 1000.0;
}

}  // namespace duet
