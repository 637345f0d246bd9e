// Rails of boards from trees laid out like theirs (boards/), and the energy that their power adds up to.
#include "runtime/rail_energy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "base/error.h"
#include "runtime/clocks.h"
#include "runtime/power_rails.h"
#include "tests/support/error_of.h"
#include "tests/support/temp_dir.h"

namespace duet {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

const fs::path kBoards = fs::path(DUET_SOURCE_DIR) / "tests" / "runtime" / "boards";
const fs::path kMonitor = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3";

std::vector<std::string> names(const std::vector<RailFiles>& rails) {
  std::vector<std::string> names;
  for (const RailFiles& rail : rails) names.push_back(rail.name);
  return names;
}

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

TEST(PowerRails, TheInputRailIsTheWholeModule) {
  const std::vector<RailFiles> rails = find_power_rails(kBoards / "orin-nx");
  EXPECT_THAT(names(rails), ElementsAre("VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC")) << "no sum of shunt voltages";
  EXPECT_THAT(names(module_rails(rails)), ElementsAre("VDD_IN"));
  EXPECT_NEAR(read_watts(rails[0]).value(), 5.056 * 1.864, 1e-9);
}

TEST(PowerRails, WithoutOneTheSourcesAddUp) {
  const std::vector<RailFiles> rails = find_power_rails(kBoards / "agx-orin");
  EXPECT_THAT(names(rails), ElementsAre("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "VDDQ_VDD2_1V8AO"));
  EXPECT_THAT(names(module_rails(rails)), ElementsAre("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"));
}

TEST(PowerRails, OneMonitorInTwoFoldersCountsOnce) {
  const TempDir root;
  for (const char* folder : {"sys/bus/i2c/devices", "sys/bus/i2c/drivers/ina3221"}) {
    fs::create_directories(root / folder);
    fs::copy(kBoards / "orin-nx/sys/bus/i2c/drivers/ina3221/1-0040", root / folder / "1-0040",
             fs::copy_options::recursive);
  }
  EXPECT_EQ(find_power_rails(root.path()).size(), 3u);
  EXPECT_EQ(read_jetson_clocks(root.path()).rails.size(), 3u);
}

TEST(RailEnergy, ThePowerIsIntegratedBetweenSamples) {
  PowerIntegral integral;
  integral.add(100.0, 10);
  EXPECT_EQ(integral.energy_mj(), 0);
  integral.add(100.5, 10);
  EXPECT_DOUBLE_EQ(integral.energy_mj(), 5000);
  integral.add(101.5, 20);
  EXPECT_DOUBLE_EQ(integral.energy_mj(), 5000 + 15000) << "evenly from 10 to 20 W";
}

TEST(RailEnergy, AddsUpTheModulesPower) {
  const auto counter = open_rail_energy(kBoards / "agx-orin");
  ASSERT_NE(counter, nullptr);
  const double begin_s = seconds_now(), begin_mj = counter->read_mj();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const double energy_mj = counter->read_mj() - begin_mj, elapsed_s = seconds_now() - begin_s;
  const double watts = 19.912 * 0.224 + 19.912 * 0.048 + 4.992 * 0.880;
  EXPECT_GE(energy_mj, watts * 50 * 0.9);
  EXPECT_LE(energy_mj, watts * elapsed_s * 1e3 * 1.0001);
}

TEST(RailEnergy, FollowsWhatHappensBetweenTwoReadings) {
  const TempDir root;
  fs::copy(kBoards / "orin-nx", root.path(), fs::copy_options::recursive);
  const auto counter = open_rail_energy(root.path());
  ASSERT_NE(counter, nullptr);
  const auto draw = [&](const char* milliamperes) {
    std::ofstream(root / "next", std::ios::binary) << milliamperes;
    fs::rename(root / "next", root / (kMonitor / "curr1_input"));  // whole, whenever the sampler looks
  };
  const double before_mj = counter->read_mj();
  draw("100000");
  std::this_thread::sleep_for(30 * kRailInterval);
  draw("0");
  std::this_thread::sleep_for(2 * kRailInterval);
  EXPECT_GT(counter->read_mj() - before_mj, 505.6 * 100) << "505.6 W for 300 ms, seen by the sampler alone";
}

TEST(RailEnergy, ARailThatIsLostIsNoZero) {
  const TempDir root;
  fs::copy(kBoards / "orin-nx", root.path(), fs::copy_options::recursive);
  const auto counter = open_rail_energy(root.path());
  ASSERT_NE(counter, nullptr);
  fs::remove(root / (kMonitor / "curr1_input"));
  EXPECT_THAT(error_of(ErrorKind::device, [&] { counter->read_mj(); }), testing::HasSubstr("VDD_IN"));
  EXPECT_EQ(open_rail_energy(root / "nothing"), nullptr);
}

}  // namespace
}  // namespace duet
