#include "tuner/energy_measure.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

namespace duet {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kChunkSeconds = 0.2;  // runs that are queued together: the host's pauses between them do not count
constexpr double kMaxChunk = 10000;

struct EnergyInterval {
  double seconds = 0;
  double energy_mj = 0;
  double power_w() const { return energy_mj / 1e3 / seconds; }
};

EnergyInterval measure(EnergyCounter& counter, const std::function<void()>& work) {
  const double before_mj = counter.read_mj();
  const Clock::time_point begin = Clock::now();
  work();
  const std::chrono::duration<double> elapsed = Clock::now() - begin;
  return {.seconds = std::max(elapsed.count(), 1e-9), .energy_mj = counter.read_mj() - before_mj};
}

int chunk_of(double run_us) {
  return static_cast<int>(std::clamp(std::ceil(kChunkSeconds * 1e6 / std::max(run_us, 1.0)), 1.0, kMaxChunk));
}

}  // namespace

EnergyFigures measure_energy(EnergyCounter& counter, const std::function<void(int)>& run_many, double run_us,
                             const EnergyOptions& options) {
  const std::chrono::duration<double> idle(options.idle_seconds), busy(options.seconds);
  EnergyFigures figures;
  figures.idle_power_w = measure(counter, [&] { std::this_thread::sleep_for(idle); }).power_w();
  const int chunk = chunk_of(run_us);
  const EnergyInterval running = measure(counter, [&] {
    const Clock::time_point end = Clock::now() + std::chrono::duration_cast<Clock::duration>(busy);
    do {
      run_many(chunk);
      figures.runs += chunk;
    } while (Clock::now() < end);
  });
  const auto runs = static_cast<double>(figures.runs);
  figures.power_w = running.power_w();
  figures.energy_mj = running.energy_mj / runs;
  figures.back_to_back_us = running.seconds * 1e6 / runs;
  return figures;
}

}  // namespace duet
