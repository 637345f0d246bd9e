// A board's power mode found in its device file, and what is said where board and file disagree.
#include "tuner/board_mode.h"

#include <gtest/gtest.h>

namespace duet {
namespace {

const std::filesystem::path kDevices = std::filesystem::path(DUET_SOURCE_DIR) / "devices";

BoardMode find(const std::string& device, const std::string& mode, int sms, int clock_mhz) {
  Board board{.jetson = true};
  board.device = device;
  board.power_mode = mode;
  board.sm_count = sms;
  board.max_sm_clock_mhz = clock_mhz;
  return find_board_mode(load_device_modes(kDevices, device), board);
}

std::string name_of(const BoardMode& found) { return found.mode ? found.mode->power_mode : "none"; }

TEST(BoardMode, IsFoundByNameAndClock) {
  const BoardMode nx = find("jetson-orin-nx-16gb", "15W", 4, 612);
  EXPECT_EQ(name_of(nx), "15W");
  EXPECT_EQ(nx.contradiction, "");
  EXPECT_EQ(name_of(find("jetson-orin-nano-8gb", "15W", 8, 624)), "15W");
  EXPECT_EQ(name_of(find("jetson-orin-nano-8gb", "15W", 8, 612)), "15W_SUPER");
  EXPECT_EQ(find("jetson-agx-orin-64gb", "MAXN", 0, 0).contradiction, "");  // nothing live to compare with
}

TEST(BoardMode, DisagreementsAreNamed) {
  EXPECT_EQ(find("jetson-orin-nx-16gb", "15W", 8, 918).contradiction,
            "15W is 4 SMs at 612 MHz in the file of jetson-orin-nx-16gb, and 8 SMs at 918 MHz here");
  const BoardMode other = find("jetson-orin-nx-16gb", "mode 7", 8, 918);
  EXPECT_EQ(name_of(other), "none");
  EXPECT_EQ(other.contradiction, "power mode 'mode 7' is not in the file of jetson-orin-nx-16gb");
  EXPECT_EQ(find("jetson-orin-nx-16gb", "", 8, 918).contradiction, "");  // unknown is no contradiction
}

}  // namespace
}  // namespace duet
