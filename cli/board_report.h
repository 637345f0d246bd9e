// What `duet doctor` shows of the board.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "runtime/board.h"
#include "runtime/clocks.h"

namespace duet {

struct BoardReport {
  Board board;
  std::string device;                     // with its power mode where both are known: "jetson-orin-nx-16gb@15W"
  std::vector<PowerRail> rails;           // that are measured, with their power now
  std::vector<std::string> energy_rails;  // of those, the ones whose energy is the module's (rail_energy.h)
};

// Recognises the board whose files are under `root`, and finds its mode in devices/.
BoardReport report_board(const std::filesystem::path& root, int live_sm_count);
// "VDD_IN, sampled every 10 ms; measured now: VDD_IN 9.4 W, VDD_SOC 2.1 W". Empty where no rail is.
std::string rails_text(const BoardReport& report);
std::string board_text(const BoardReport& report);  // lines
nlohmann::json board_json(const BoardReport& report);

}  // namespace duet
