#include "profile/recording.h"

namespace duet {
namespace {

constexpr int kWarmupRuns = 20;
constexpr int kUntracedSamples = 50;

void replay(Engine& engine, int times) {
  for (int i = 0; i < times; ++i) engine.run();
}

}  // namespace

Recording record_replays(Engine& engine, KernelTrace& trace, int replays) {
  Recording recording;
  trace.stop();
  replay(engine, kWarmupRuns);
  recording.untraced_us = engine.time_us(kUntracedSamples, CacheState::warm);
  trace.start();
  replay(engine, kWarmupRuns);
  trace.stop();
  static_cast<void>(trace.take());  // so far: loading, and replays while caches and clocks settle
  trace.start();
  replay(engine, replays);
  trace.stop();
  recording.kernels = trace.take();
  return recording;
}

}  // namespace duet
