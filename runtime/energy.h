// Energy that a device has used, by its own counter.
#pragma once

namespace duet {

class EnergyCounter {
 public:
  virtual ~EnergyCounter() = default;
  // Millijoules since some moment before the counter was opened: differences count. Throws Error(device).
  virtual double read_mj() = 0;
};

}  // namespace duet
