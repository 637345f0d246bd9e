// Energy of a run: what the device's counter adds up over many runs, back to back.
#pragma once

#include <cstdint>
#include <functional>

#include "runtime/energy.h"

namespace duet {

struct EnergyFigures {
  double energy_mj = 0;        // per run, the idle share included
  double power_w = 0;          // mean while running
  double idle_power_w = 0;     // mean over the moment before
  double back_to_back_us = 0;  // per run
  std::int64_t runs = 0;
};

struct EnergyOptions {
  double seconds = 10;
  double idle_seconds = 1;
};

// `run_many(count)` does that many runs, queued, and waits; `run_us` is about how long one takes.
EnergyFigures measure_energy(EnergyCounter& counter, const std::function<void(int)>& run_many, double run_us,
                             const EnergyOptions& options);

}  // namespace duet
