// The power mode of a recognised board among those of its device file.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "codegen/device_spec.h"
#include "runtime/board.h"

namespace duet {

struct BoardMode {
  std::optional<DeviceSpec> mode;  // none when the file has no mode of this name
  std::string contradiction;       // "15W is 4 SMs at 612 MHz in the file and 8 SMs at 918 MHz here"; empty when none
};

// `modes` are all of board.device. nvpmodel gives "15W" both before and after the Super firmware: of "15W" and
// "15W_SUPER" the one whose clock is nearer is meant.
BoardMode find_board_mode(const std::vector<DeviceSpec>& modes, const Board& board);

}  // namespace duet
