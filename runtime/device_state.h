// What a device says of itself at a moment, for the samples taken then.
#pragma once

#include <cstdint>
#include <string>

namespace duet {

// 0 and empty mean unknown.
struct DeviceState {
  int sm_clock_mhz = 0;
  int expected_sm_clock_mhz = 0;  // under load, where a power mode sets it (a Jetson); 0 where the clock boosts
  double temperature_c = 0;
  std::string power_mode{};
  std::string slowdown{};  // why the clock is held down now: "thermal slowdown"
  // A low clock is no slowdown: the device idles, its clock was set, or the power limit holds, which is what its mode
  // allows.
  bool low_clock_explained = false;
  // Times that the board throttled since it was started because its supply gave too much current or too low a voltage
  // (a Jetson): each lasts for less than a reading would see. -1 where nobody counts.
  std::int64_t overcurrent_events = -1;

  bool operator==(const DeviceState&) const = default;
};

}  // namespace duet
