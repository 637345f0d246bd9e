#include "tuner/throttle_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "base/log.h"

namespace duet {
namespace {

void sleep_for(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

std::string range_text(double least, double greatest, const char* unit) {
  if (least == greatest) return fmt::format("{:.0f} {}", least, unit);
  return fmt::format("{:.0f} to {:.0f} {}", least, greatest, unit);
}

std::string rounds_text(int rounds) { return rounds == 1 ? "1 round" : fmt::format("{} rounds", rounds); }

}  // namespace

std::string throttle_cause(const DeviceState& state, int reference_mhz, double least_clock) {
  if (!state.slowdown.empty()) return state.slowdown;
  if (!state.low_clock_explained && state.sm_clock_mhz > 0 && state.sm_clock_mhz < least_clock * reference_mhz)
    return fmt::format("an SM clock of {} instead of {} MHz", state.sm_clock_mhz, reference_mhz);
  return {};
}

void ThrottleLog::add(const DeviceState& state) {
  const bool first = readings++ == 0;
  least_clock_mhz = first ? state.sm_clock_mhz : std::min(least_clock_mhz, state.sm_clock_mhz);
  greatest_clock_mhz = std::max(greatest_clock_mhz, state.sm_clock_mhz);
  least_temperature_c = first ? state.temperature_c : std::min(least_temperature_c, state.temperature_c);
  greatest_temperature_c = std::max(greatest_temperature_c, state.temperature_c);
  power_mode = state.power_mode;
}

std::string ThrottleLog::text() const {
  if (readings == 0) return {};
  std::string text = ", SM clock " + range_text(least_clock_mhz, greatest_clock_mhz, "MHz");
  if (greatest_temperature_c > 0) text += " and " + range_text(least_temperature_c, greatest_temperature_c, "C");
  text += fmt::format(" in {} reading{}", readings, readings == 1 ? "" : "s");
  if (!power_mode.empty()) text += fmt::format(" at {}", power_mode);
  if (set_aside > 0) text += fmt::format(", {} under {} taken again", rounds_text(set_aside), cause);
  if (accepted > 0) text += fmt::format(", {} taken under {}", rounds_text(accepted), cause);
  return text;
}

ThrottleWatch::ThrottleWatch(const Device& device, ThrottleOptions options, Pause pause)
    : device_(device), options_(options), pause_(pause ? std::move(pause) : Pause(sleep_for)) {}

ThrottleLog ThrottleWatch::take_log() { return std::exchange(log_, {}); }

void ThrottleWatch::note_events_before() {
  if (events_before_ < 0) return;
  if (const std::optional<DeviceState> state = device_.state()) events_before_ = state->overcurrent_events;
}

std::string ThrottleWatch::overcurrent_cause(const DeviceState& state) {
  const std::int64_t before = std::exchange(events_before_, state.overcurrent_events);
  return before >= 0 && state.overcurrent_events > before ? "over-current throttling" : "";
}

bool ThrottleWatch::must_repeat(int attempt) {
  const std::optional<DeviceState> state = device_.state();
  if (!state) return false;
  log_.add(*state);
  highest_mhz_ = std::max(highest_mhz_, state->sm_clock_mhz);
  const int expected_mhz = state->expected_sm_clock_mhz > 0 ? state->expected_sm_clock_mhz : highest_mhz_;
  std::string cause = overcurrent_cause(*state);
  if (cause.empty()) cause = throttle_cause(*state, expected_mhz, options_.least_clock);
  if (cause.empty()) {
    lost_in_a_row_ = 0;
    return false;
  }
  log_.cause = cause;
  if (is_endured(*state)) {
    ++log_.accepted;
    return false;
  }
  if (attempt >= options_.max_retries) {
    ++log_.accepted;
    endure_if_lasting(*state, cause);
    return false;
  }
  ++log_.set_aside;
  ++rounds_set_aside_;
  if (!std::exchange(warned_, true))
    warn(
        "samples taken under {} are set aside and taken again (SM clock {} MHz, {:.0f} C): cool the board, fix its "
        "clocks, or choose a power mode that it can hold",
        cause, state->sm_clock_mhz, state->temperature_c);
  pause_(options_.first_pause_s * static_cast<double>(1 << attempt));
  return true;
}

bool ThrottleWatch::is_endured(const DeviceState& state) const {
  return endured_mhz_ && state.sm_clock_mhz >= options_.least_clock * *endured_mhz_;
}

// Where throttling has become the rule, waiting is no use any more.
void ThrottleWatch::endure_if_lasting(const DeviceState& state, const std::string& cause) {
  if (++lost_in_a_row_ < options_.max_lost_rounds) return;
  lost_in_a_row_ = 0;
  endured_mhz_ = state.sm_clock_mhz;
  warn(
      "the device stays under {} (SM clock {} MHz, {:.0f} C): from here on its times are taken as they are; tune again "
      "when it has cooled, or in a lower power mode",
      cause, state.sm_clock_mhz, state.temperature_c);
}

}  // namespace duet
