// What `duet doctor` shows of the board.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "runtime/board.h"

namespace duet {

struct BoardReport {
  Board board;
  std::string device;  // with its power mode where both are known: "jetson-orin-nx-16gb@15W"
};

// Recognises the board whose files are under `root`, and finds its mode in devices/.
BoardReport report_board(const std::filesystem::path& root, int live_sm_count);
std::string board_text(const BoardReport& report);  // lines
nlohmann::json board_json(const BoardReport& report);

}  // namespace duet
