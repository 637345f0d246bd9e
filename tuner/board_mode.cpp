#include "tuner/board_mode.h"

#include <fmt/format.h>

#include <cstdlib>

namespace duet {
namespace {

int clock_distance(const DeviceSpec& mode, const Board& board) {
  return board.max_sm_clock_mhz > 0 ? std::abs(mode.sm_clock_mhz - board.max_sm_clock_mhz) : 0;
}

// Clocks are rounded on the way from a data sheet to sysfs.
constexpr int kClockToleranceMhz = 10;

bool agrees(const DeviceSpec& mode, const Board& board) {
  return (board.sm_count == 0 || board.sm_count == mode.sm_count) && clock_distance(mode, board) <= kClockToleranceMhz;
}

std::string shown(int value) { return value > 0 ? std::to_string(value) : "unknown"; }

}  // namespace

BoardMode find_board_mode(const std::vector<DeviceSpec>& modes, const Board& board) {
  BoardMode found;
  if (board.power_mode.empty()) return found;
  for (const DeviceSpec& mode : modes) {
    if (mode.power_mode != board.power_mode && mode.power_mode != board.power_mode + "_SUPER") continue;
    if (!found.mode || clock_distance(mode, board) < clock_distance(*found.mode, board)) found.mode = mode;
  }
  if (!found.mode) {
    found.contradiction = fmt::format("power mode '{}' is not in the file of {}", board.power_mode, board.device);
  } else if (!agrees(*found.mode, board)) {
    found.contradiction = fmt::format("{} is {} SMs at {} MHz in the file of {}, and {} SMs at {} MHz here",
                                      found.mode->power_mode, found.mode->sm_count, found.mode->sm_clock_mhz,
                                      board.device, shown(board.sm_count), shown(board.max_sm_clock_mhz));
  }
  return found;
}

}  // namespace duet
