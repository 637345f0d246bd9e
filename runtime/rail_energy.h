// Energy of a Jetson's module: the power of its rails, sampled and added up, since nothing there counts energy.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>

#include "runtime/energy.h"

namespace duet {

// A monitor averages over milliseconds, and reading a rail takes about one on its slow bus.
inline constexpr std::chrono::milliseconds kRailInterval{10};

// Power over time, taken to change evenly from one sample to the next.
class PowerIntegral {
 public:
  // At this moment of some clock; moments ascend.
  void add(double seconds, double watts);
  double energy_mj() const { return energy_mj_; }

 private:
  double last_s_ = 0, last_w_ = 0, energy_mj_ = 0;
  bool begun_ = false;
};

// Samples module_rails() (power_rails.h) in a thread of its own until it is destroyed, and whenever it is read. Null
// where no rail is found.
std::unique_ptr<EnergyCounter> open_rail_energy(const std::filesystem::path& root = "/");

}  // namespace duet
