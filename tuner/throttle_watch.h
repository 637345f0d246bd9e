// Watches the device while it is timed: samples taken while its clock was held down are set aside and taken again, a
// bounded number of times, and what was seen is told with the measurement.
//
//   ThrottleWatch watch(device);
//   const std::vector<double> samples = watch.steady([&] { return executable->time_us(10, CacheState::warm); });
//   measurement.environment += watch.take_log().text();
//
// Clock and temperature are read once after each round of samples, not after each sample: a reading costs two or three
// calls of NVML or a few small files, and in a worker process a request. A board that counts its over-current events is
// read before the round too, so that those between two rounds do not count.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "runtime/device.h"

namespace duet {

struct ThrottleOptions {
  double least_clock = 0.9;    // of the expected one, or of the highest seen in this session
  int max_retries = 4;         // of one round
  int max_lost_rounds = 3;     // in a row, each with all its retries: then the low clock is what this session has
  double first_pause_s = 0.1;  // before a round is taken again; doubled each time
};

// Why samples taken in this state do not count; empty where they do. `reference_mhz`: what the SM clock should be.
std::string throttle_cause(const DeviceState& state, int reference_mhz, double least_clock);

// What was read since the last time somebody asked.
struct ThrottleLog {
  int readings = 0;
  int least_clock_mhz = 0, greatest_clock_mhz = 0;
  double least_temperature_c = 0, greatest_temperature_c = 0;
  std::string power_mode{};
  int set_aside = 0;    // rounds taken again
  int accepted = 0;     // rounds under throttling that count for want of better ones
  std::string cause{};  // of the last of them

  void add(const DeviceState& state);
  // ", SM clock 1965 to 1980 MHz and 44 to 47 C in 12 readings, 1 round under thermal slowdown taken again"; empty
  // where nothing could be read.
  std::string text() const;
};

class ThrottleWatch {
 public:
  using Pause = std::function<void(double seconds)>;
  // `pause` sleeps, unless a test counts instead.
  explicit ThrottleWatch(const Device& device, ThrottleOptions options = {}, Pause pause = {});

  // What `take` gives once it ran unthrottled, or after the last retry.
  template <typename Take>
  auto steady(Take take) {
    for (int attempt = 0;; ++attempt) {
      note_events_before();
      auto taken = take();
      if (!must_repeat(attempt)) return taken;
    }
  }
  ThrottleLog take_log();
  int rounds_set_aside() const { return rounds_set_aside_; }  // in all

 private:
  void note_events_before();
  // Of the round; notes how many there have been.
  std::string overcurrent_cause(const DeviceState& state);
  bool must_repeat(int attempt);
  bool is_endured(const DeviceState& state) const;
  void endure_if_lasting(const DeviceState& state, const std::string& cause);

  const Device& device_;
  ThrottleOptions options_;
  Pause pause_;
  ThrottleLog log_;
  int highest_mhz_ = 0;
  std::int64_t events_before_ = -1;  // the round; -1 where they are not counted
  std::optional<int> endured_mhz_;   // the clock that is taken as it is, since throttling did not end
  int lost_in_a_row_ = 0;
  int rounds_set_aside_ = 0;
  bool warned_ = false;
};

}  // namespace duet
