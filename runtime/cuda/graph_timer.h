// Event-timed replays of a CUDA graph, with caches warm or flushed.
#pragma once

#include <vector>

#include "runtime/cuda/context.h"
#include "runtime/device.h"

namespace duet {

// The interval between the two events must hold the graph alone, not the host's launch of it. So the stream is kept
// busy with overwriting the flush buffer while the host enqueues start event, graph and stop event; for warm caches
// two untimed replays follow the flush.
class GraphTimer {
 public:
  // The stream and the graph outlive it. The context must be current here and in time_us().
  GraphTimer(const CudaContext& context, Device& device, CUstream stream, CUgraphExec graph);
  std::vector<double> time_us(int samples, CacheState caches);

 private:
  void warm_up();
  void calibrate();
  void flush();
  void replay();
  void record(const CudaEvent& event);
  double elapsed_us();  // waits for the stream
  double time_replay_us(CacheState caches);

  const CudaDriver& driver_;
  CUstream stream_;
  CUgraphExec graph_;
  CudaEvent start_, stop_;
  DeviceBuffer flush_buffer_;
  int flushes_ = 0;  // per sample; 0 until calibrated
};

}  // namespace duet
