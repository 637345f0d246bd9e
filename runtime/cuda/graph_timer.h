// Event-timed replays of a CUDA graph, with caches warm or flushed.
#pragma once

#include <vector>

#include "runtime/cuda/context.h"
#include "runtime/device.h"

namespace duet {

// The interval between two events must hold the graph alone, not the host's launch of it. So the stream is kept busy
// with overwriting the flush buffer while the host enqueues events and graphs. For warm caches two untimed replays
// follow the flush, and where a replay takes clearly longer than its launch, several timed ones follow those, with an
// event between each two: the stream stays busy, and each sample costs little more than its own replay.
class GraphTimer {
 public:
  // The stream and the graph outlive it. The context must be current here and in time_us().
  GraphTimer(const CudaContext& context, Device& device, CUstream stream, CUgraphExec graph);
  std::vector<double> time_us(int samples, CacheState caches);

 private:
  void calibrate();
  void flush();
  void replay(int count);
  void record(const CudaEvent& event);
  void synchronize();
  double elapsed_us(const CudaEvent& start, const CudaEvent& stop) const;
  int samples_per_flush(CacheState caches) const;
  void time_replays(int count, CacheState caches, std::vector<double>& times_us);

  const CudaDriver& driver_;
  CUstream stream_;
  CUgraphExec graph_;
  std::vector<CudaEvent> events_;  // one more than there may be samples between two flushes
  DeviceBuffer flush_buffer_;
  int flushes_ = 0;              // before the replays; 0 until calibrated
  bool launches_ahead_ = false;  // of the replays, without a flush
};

}  // namespace duet
