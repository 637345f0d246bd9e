// Jetson facts read from a folder laid out like the board's own files.
#include "runtime/clocks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "runtime/cuda/nvml.h"
#include "tests/support/temp_dir.h"

namespace duet {
namespace {

class ClocksTest : public testing::Test {
 protected:
  void write(const std::string& file, const std::string& text) {
    const std::filesystem::path path = root_ / file;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }
  void write_orin_nx() {
    write("sys/class/devfreq/17000000.gpu/cur_freq", "306000000\n");
    write("sys/class/devfreq/17000000.gpu/max_freq", "612000000\n");
    write("sys/kernel/debug/bpmp/debug/clk/emc/rate", "3199000000\n");
    write("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n");
    write("sys/class/thermal/thermal_zone0/temp", "90000\n");
    write("sys/class/thermal/thermal_zone1/type", "gpu-thermal\n");
    write("sys/class/thermal/thermal_zone1/temp", "47500\n");
    write("var/lib/nvpmodel/status", "pmode:0002 fmode:fanNull\n");
    write("etc/nvpmodel.conf",
          "# comment\n< POWER_MODEL ID=0 NAME=MAXN >\n< POWER_MODEL ID=2 NAME=MODE_15W >\nCPU_ONLINE CORE_0 1\n");
    const std::string monitor = "sys/bus/i2c/devices/1-0040/hwmon/hwmon1/";
    write(monitor + "in1_label", "VDD_IN\n");
    write(monitor + "in1_input", "5000\n");
    write(monitor + "curr1_input", "2000\n");
    write(monitor + "in2_label", "NC\n");
    write(monitor + "in2_input", "1\n");
    write(monitor + "curr2_input", "1\n");
  }
  TempDir root_;
};

TEST_F(ClocksTest, ReadsAnOrinNx) {
  write_orin_nx();
  const ClockReading reading = read_jetson_clocks(root_.path());
  EXPECT_EQ(reading.sm_clock_mhz, 306);
  EXPECT_EQ(reading.max_sm_clock_mhz, 612);
  EXPECT_EQ(reading.memory_clock_mhz, 3199);
  EXPECT_EQ(reading.max_memory_clock_mhz, 0);
  EXPECT_DOUBLE_EQ(reading.temperature_c.value(), 47.5);
  EXPECT_EQ(reading.power_mode, "15W");
  ASSERT_EQ(reading.rails.size(), 1U);
  EXPECT_EQ(reading.rails[0].name, "VDD_IN");
  EXPECT_DOUBLE_EQ(reading.rails[0].watts, 10.0);
}

TEST_F(ClocksTest, AStateIsWhatMayChange) {
  write_orin_nx();
  const DeviceState state = read_jetson_state(root_.path());
  EXPECT_EQ(state.sm_clock_mhz, 306);
  EXPECT_DOUBLE_EQ(state.temperature_c, 47.5);
  EXPECT_EQ(state.power_mode, "15W");
  EXPECT_EQ(state.slowdown, "");
}

// As an Orin NX shows them.
TEST_F(ClocksTest, AlarmsOfThePowerSupplyAreCounted) {
  write_orin_nx();
  EXPECT_EQ(read_jetson_state(root_.path()).overcurrent_events, -1) << "nobody counts";
  write("sys/class/hwmon/hwmon0/name", "pwmfan\n");
  const std::string monitor = "sys/class/hwmon/hwmon3/";
  write(monitor + "name", "soctherm_oc\n");
  for (const char* alarm : {"oc1", "oc2", "oc3"}) {
    write(monitor + alarm + "_throt_en", "1\n");
    write(monitor + alarm + "_event_cnt", "0\n");
  }
  EXPECT_EQ(read_jetson_state(root_.path()).overcurrent_events, 0);
  write(monitor + "oc2_event_cnt", "15\n");
  write(monitor + "oc3_event_cnt", "37\n");
  EXPECT_EQ(read_jetson_state(root_.path()).overcurrent_events, 52);
  write(monitor + "oc3_throt_en", "0\n");
  EXPECT_EQ(read_jetson_state(root_.path()).overcurrent_events, 15) << "an alarm that throttles nothing";
  write(monitor + "oc1_event_cnt", "many\n");
  EXPECT_EQ(read_jetson_state(root_.path()).overcurrent_events, -1);
}

TEST_F(ClocksTest, ReadsThorsGpuNode) {
  write("sys/class/devfreq/bwmgr/cur_freq", "1\n");
  write("sys/class/devfreq/gpu-gpc-0/cur_freq", "1570000000\n");
  EXPECT_EQ(read_jetson_clocks(root_.path()).sm_clock_mhz, 1570);
}

TEST_F(ClocksTest, AnUnnamedPowerModeKeepsItsNumber) {
  write("var/lib/nvpmodel/status", "pmode:0007");
  EXPECT_EQ(read_jetson_clocks(root_.path()).power_mode, "mode 7");
}

TEST_F(ClocksTest, NothingOrNonsenseIsUnknown) {
  write("sys/class/devfreq/17000000.gpu/cur_freq", "fast\n");
  write("sys/class/devfreq/17000000.gpu/max_freq", "-5\n");
  write("sys/class/thermal/thermal_zone1/type", "gpu-thermal\n");
  write("sys/class/thermal/thermal_zone1/temp", "");
  write("var/lib/nvpmodel/status", "pmode:");
  write("etc/nvpmodel.conf", "< POWER_MODEL ID= NAME=");
  const ClockReading reading = read_jetson_clocks(root_.path());
  EXPECT_EQ(reading.sm_clock_mhz, 0);
  EXPECT_EQ(reading.max_sm_clock_mhz, 0);
  EXPECT_EQ(reading.temperature_c, std::nullopt);
  EXPECT_TRUE(reading.rails.empty());
  EXPECT_EQ(reading.power_mode, "");
}

TEST(Nvml, IsUnknownWhereTheLibraryIsAbsent) {
  const ClockReading reading = read_nvml_clocks("0000:01:00.0", "libduet-no-such-nvml.so");
  EXPECT_EQ(reading.sm_clock_mhz, 0);
  EXPECT_EQ(reading.power_mode, "");
  EXPECT_EQ(open_nvml_energy("0000:01:00.0", "libduet-no-such-nvml.so"), nullptr);
  EXPECT_EQ(open_nvml_state("0000:01:00.0", "libduet-no-such-nvml.so"), nullptr);
}

TEST(Nvml, ASlowdownIsNamedAndAPowerLimitIsNone) {
  const std::function<DeviceState()> read = open_nvml_state("0000:01:00.0", DUET_FAKE_NVML);
  ASSERT_NE(read, nullptr);
  const auto slowdown_of = [&](const char* reasons) {
    ::setenv("DUET_FAKE_NVML_REASONS", reasons, 1);
    return read().slowdown;
  };
  EXPECT_EQ(slowdown_of("0"), "");
  EXPECT_EQ(slowdown_of("7"), "") << "idle, a clock that was set, the power limit";
  EXPECT_EQ(slowdown_of("36"), "thermal slowdown") << "with the power limit";
  EXPECT_EQ(slowdown_of("72"), "hardware thermal slowdown") << "which is a hardware slowdown too";
  EXPECT_EQ(slowdown_of("128"), "power brake");
  EXPECT_FALSE(read().low_clock_explained);
  slowdown_of("4");
  EXPECT_TRUE(read().low_clock_explained) << "by the power limit";
  const DeviceState state = read();
  EXPECT_EQ(state.sm_clock_mhz, 1755);
  EXPECT_EQ(state.temperature_c, 64);
  EXPECT_EQ(state.power_mode, "700 W");
  EXPECT_EQ(state.expected_sm_clock_mhz, 0);
}

}  // namespace
}  // namespace duet
