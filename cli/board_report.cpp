#include "cli/board_report.h"

#include <fmt/format.h>

#include "base/error.h"
#include "cli/data_files.h"
#include "runtime/power_rails.h"
#include "runtime/rail_energy.h"
#include "tuner/board_mode.h"

namespace duet {
namespace {

std::string known(int value, std::string_view unit) {
  return value > 0 ? fmt::format("{} {}", value, unit) : fmt::format("unknown {}", unit);
}

void find_mode(BoardReport& report) {
  Board& board = report.board;
  try {
    const BoardMode found = find_board_mode(load_device_modes(data_dir() / "devices", board.device), board);
    if (found.mode) report.device += "@" + found.mode->power_mode;
    if (!found.contradiction.empty()) board.contradictions.push_back(found.contradiction);
  } catch (const Error& error) {
    board.unknown.push_back(fmt::format("power modes: {}", error.what()));
  }
}

void find_rails(const std::filesystem::path& root, BoardReport& report) {
  report.rails = read_jetson_clocks(root).rails;
  for (const RailFiles& rail : module_rails(find_power_rails(root))) report.energy_rails.push_back(rail.name);
}

}  // namespace

BoardReport report_board(const std::filesystem::path& root, int live_sm_count) {
  BoardReport report{.board = recognise_board(root, live_sm_count), .device = {}, .rails = {}, .energy_rails = {}};
  report.device = report.board.device;
  if (!report.device.empty()) find_mode(report);
  if (report.board.jetson) find_rails(root, report);
  return report;
}

std::string rails_text(const BoardReport& report) {
  if (report.energy_rails.empty()) return "";
  std::vector<std::string> now;
  for (const PowerRail& rail : report.rails) now.push_back(fmt::format("{} {:.1f} W", rail.name, rail.watts));
  return fmt::format("{}, sampled every {} ms; measured now: {}", fmt::join(report.energy_rails, " + "),
                     kRailInterval.count(), fmt::join(now, ", "));
}

std::string board_text(const BoardReport& report) {
  const Board& board = report.board;
  if (!board.jetson) return fmt::format("{:<10}{:<5}this machine's files name no Jetson\n", "jetson", "no");
  std::string text =
      fmt::format("{:<10}{:<5}{}{}, {}, {}, {:.1f} GiB, power mode {}\n", "jetson", "yes", board.module,
                  report.device.empty() ? "" : fmt::format(" (target {})", report.device), known(board.sm_count, "SMs"),
                  known(board.max_sm_clock_mhz, "MHz"), static_cast<double>(board.memory_bytes) / (1 << 30),
                  board.power_mode.empty() ? "unknown" : board.power_mode);
  for (const std::string& line : board.unknown) text += fmt::format("{:<15}unknown: {}\n", "", line);
  for (const std::string& line : board.contradictions) text += fmt::format("{:<15}contradiction: {}\n", "", line);
  return text;
}

nlohmann::json board_json(const BoardReport& report) {
  const Board& board = report.board;
  nlohmann::json rails = nlohmann::json::object();
  for (const PowerRail& rail : report.rails) rails[rail.name] = rail.watts;
  return {{"jetson", board.jetson},
          {"model", board.model},
          {"module", board.module},
          {"device", report.device},
          {"power_mode", board.power_mode},
          {"sm_count", board.sm_count},
          {"max_sm_clock_mhz", board.max_sm_clock_mhz},
          {"memory_bytes", board.memory_bytes},
          {"rails_w", rails},
          {"energy_rails", report.energy_rails},
          {"unknown", board.unknown},
          {"contradictions", board.contradictions}};
}

}  // namespace duet
