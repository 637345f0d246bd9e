#include "codegen/device_spec.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "codegen/schedule.h"
#include "tests/support/temp_dir.h"

namespace duet {
namespace {

const std::filesystem::path kDevices = std::filesystem::path(DUET_SOURCE_DIR) / "devices";
const std::filesystem::path kSchedules = std::filesystem::path(DUET_SOURCE_DIR) / "schedules";

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  if (at == std::string::npos) throw std::runtime_error("nothing to replace");
  return text.replace(at, from.size(), to);
}

// The message of the Error(input) that loading this text gives.
template <class Load>
std::string refusal(Load load) {
  try {
    load();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::input);
    return error.what();
  }
  return "accepted";
}

std::string device_refusal(const std::string& text, std::string_view name = "board") {
  const TempDir dir;
  publish_file(dir.path() / "board.yaml", text);
  return refusal([&] { load_device(dir.path(), name); });
}

std::string valid_device() {
  return replaced(read_text_file(kDevices / "jetson-orin-nx-16gb.yaml", 1 << 16), "name: jetson-orin-nx-16gb",
                  "name: board");
}

TEST(DeviceSpec, ShipsEveryModule) {
  const std::vector<std::string> expected = {"emulator",
                                             "jetson-agx-orin-32gb",
                                             "jetson-agx-orin-64gb",
                                             "jetson-agx-orin-industrial",
                                             "jetson-agx-xavier",
                                             "jetson-nano",
                                             "jetson-orin-nano-4gb",
                                             "jetson-orin-nano-8gb",
                                             "jetson-orin-nx-16gb",
                                             "jetson-orin-nx-8gb",
                                             "jetson-thor-t4000",
                                             "jetson-thor-t5000",
                                             "jetson-tx2",
                                             "jetson-xavier-nx",
                                             "nvidia-h100-80gb-hbm3"};
  EXPECT_EQ(list_devices(kDevices), expected);
  for (const std::string& name : expected) EXPECT_EQ(load_device(kDevices, name).name, name);
}

TEST(DeviceSpec, AModeSetsSmsClockAndPeaks) {
  const DeviceSpec slow = load_device(kDevices, "jetson-orin-nx-16gb@10W");
  EXPECT_EQ(slow.sm_count, 4);
  EXPECT_EQ(slow.sm_clock_mhz, 612);
  EXPECT_EQ(slow.power_mode, "10W");
  EXPECT_NEAR(slow.fp16_tflops, 4 * 612e6 * 2048 / 1e12, 1e-9);
  const DeviceSpec full = load_device(kDevices, "jetson-orin-nx-16gb");
  EXPECT_EQ(full.power_mode, "MAXN");
  EXPECT_NEAR(full.fp16_tflops, 15.0, 0.1);
  EXPECT_NEAR(load_device(kDevices, "jetson-agx-orin-64gb").fp16_tflops, 42.6, 0.1);
  EXPECT_NEAR(load_device(kDevices, "jetson-thor-t5000").fp16_tflops, 258, 2);
  EXPECT_EQ(load_device(kDevices, "jetson-orin-nano-8gb@7W").memory_gbps, 68);
  EXPECT_EQ(load_device(kDevices, "jetson-orin-nano-8gb@25W").memory_gbps, 102);
}

TEST(DeviceSpec, LoadsEveryModeInTheFilesOrder) {
  const std::vector<DeviceSpec> modes = load_device_modes(kDevices, "jetson-agx-orin-32gb");
  ASSERT_EQ(modes.size(), 4U);
  EXPECT_EQ(modes[0].power_mode, "15W");
  EXPECT_EQ(modes[0].sm_count, 6);
  EXPECT_EQ(modes[3].power_mode, "MAXN");
  EXPECT_EQ(modes[3].sm_count, 14);
  EXPECT_NE(refusal([] { load_device_modes(kDevices, "jetson-agx-orin-32gb@15W"); }), "accepted");
}

// The peaks of data sheets, within what their rounding allows.
TEST(DeviceSpec, PeaksAgreeWithTheDataSheets) {
  const std::pair<const char*, double> peaks[] = {
      {"jetson-nano", 0.47},          {"jetson-tx2", 1.3},
      {"jetson-xavier-nx", 6.8},      {"jetson-agx-xavier", 11},
      {"jetson-orin-nano-4gb", 5.1},  {"jetson-orin-nano-4gb@MAXN_SUPER", 8.4},
      {"jetson-orin-nano-8gb", 10.2}, {"jetson-orin-nano-8gb@MAXN_SUPER", 16.7},
      {"jetson-orin-nx-8gb@40W", 19}, {"jetson-orin-nx-16gb@40W", 19},
      {"jetson-agx-orin-32gb", 26.7}, {"jetson-agx-orin-industrial", 39},
      {"jetson-thor-t4000", 150}};
  for (const auto& [name, tflops] : peaks)
    EXPECT_NEAR(load_device(kDevices, name).fp16_tflops, tflops, 0.04 * tflops) << name;
}

TEST(DeviceSpec, CarriesHowWellEachValueIsKnown) {
  const DeviceSpec device = load_device(kDevices, "jetson-orin-nx-16gb");
  EXPECT_EQ(device.confidence.at("sm_count"), Confidence::seen);
  EXPECT_EQ(device.confidence.at("memory_gbps"), Confidence::remembered);
  EXPECT_EQ(device.confidence.at("fp16_tflops"), Confidence::remembered);  // its rate is
}

TEST(DeviceSpec, RefusesWhatIsMalformedWithFileAndLine) {
  const std::string good = valid_device();
  EXPECT_EQ(device_refusal(good), "accepted");
  const auto expect = [&](std::string_view from, std::string_view to, std::string_view said) {
    const std::string message = device_refusal(replaced(good, from, to));
    EXPECT_NE(message.find(said), std::string::npos) << message;
    EXPECT_NE(message.find("board.yaml:"), std::string::npos) << message;
  };
  expect("sm_count: [8, s]", "sm_count: [-1, s]", "'-1' is no whole number");
  expect("sm_count: [8, s]", "sm_count: [8.5, s]", "no whole number");
  expect("sm_count: [8, s]", "sm_count: [nan, s]", "no whole number");
  expect("sm_count: [8, s]", "sm_count: [99999999999999999999, s]", "no whole number");
  expect("sm_count: [8, s]", "sm_count: 8", "[value, mark]");
  expect("sm_count: [8, s]", "sm_count: [8, x]", "mark 'x'");
  expect("sm_count: [8, s]", "sm_cuont: [8, s]", "sm_cuont");
  expect("launch_us: [2.0, r]", "", "'launch_us' is missing");
  expect("arch: [sm_87, s]", "arch: [compute_87, s]", "sm_87");
  expect("name: board", "name: other", "'other'");
  expect("default_mode: MAXN", "default_mode: 60W", "no power mode '60W'");
  expect("duet_device: 1", "duet_device: 2", "version");
  expect("25W: {sm_count: [8, r], ", "25W: {", "'sm_count' is missing");
  expect("duet_device: 1", "duet_device: &a 1", "board.yaml:");
  expect("modes:", "modes: 3\nmdoes:", "board.yaml:");
}

TEST(DeviceSpec, RefusesNamesThatAreNone) {
  for (const std::string_view name :
       {"", "../devices/x", "jetson-orin-nx-16gb@", "jetson-orin-nx-16gb@9000W", "/etc/passwd", "xavier"})
    EXPECT_NE(refusal([&] { load_device(kDevices, name); }), "accepted") << name;
  EXPECT_NE(refusal([] { load_device("/nowhere", "x"); }), "accepted");
}

// ---- search spaces

std::string schedule_refusal(const std::string& text) {
  const TempDir dir;
  publish_file(dir.path() / "space.yaml", text);
  return refusal([&] { load_search_space(dir.path() / "space.yaml"); });
}

TEST(SearchSpace, ShipsADefaultAndAQuickOne) {
  const SearchSpace space = load_search_space(kSchedules / "default.yaml");
  EXPECT_EQ(space.name, "default");
  EXPECT_EQ(space.ranges.at("gemm").at("block_m"), (std::vector<int>{16, 32, 64, 128}));
  EXPECT_EQ(space.ranges.size(), 9u);  // seven families, the products' tiles in three sections
  EXPECT_EQ(load_search_space(kSchedules / "quick.yaml").ranges.size(), 7u);
}

TEST(SearchSpace, RefusesWhatIsMalformedWithFileAndLine) {
  const auto expect = [](const std::string& body, std::string_view said) {
    const std::string message = schedule_refusal("duet_schedule: 1\nname: x\n" + body);
    EXPECT_NE(message.find(said), std::string::npos) << message;
    EXPECT_NE(message.find("space.yaml:"), std::string::npos) << message;
  };
  EXPECT_EQ(schedule_refusal("duet_schedule: 1\nname: x\ngemm:\n  block_m: [16]\n"), "accepted");
  EXPECT_EQ(schedule_refusal("duet_schedule: 1\nname: x\ngemm:\n  block_m: [16]\ngemm.wide:\n  block_n: [96]\n"),
            "accepted");
  expect("gem:\n  block_m: [16]\n", "unknown family 'gem'");
  expect("gem.wide:\n  block_m: [16]\n", "unknown family 'gem'");
  expect("gemm.wide:\n  block_x: [16]\n", "gemm.wide: unknown parameter 'block_x'");
  expect("gemm:\n  block_x: [16]\n", "unknown parameter 'block_x'");
  expect("gemm:\n  block_m: 16\n", "must be a list");
  expect("gemm:\n  block_m: []\n", "must be a list");
  expect("gemm:\n  block_m: [0]\n", "'0' is no whole number");
  expect("gemm:\n  block_m: [16, -16]\n", "space.yaml:4: gemm.block_m: '-16'");
  expect("gemm:\n  block_m: [1.5]\n", "no whole number");
  expect("gemm:\n  block_m: [16, 16]\n", "listed twice");
  expect("gemm:\n  block_m: [[16]]\n", "no whole number");
  EXPECT_NE(schedule_refusal("name: x\n").find("duet_schedule"), std::string::npos);
  EXPECT_NE(schedule_refusal(""), "accepted");
  std::string many = "gemm:\n";
  for (const std::string_view parameter : {"block_m", "block_n", "block_k", "stages"}) {
    many += "  " + std::string(parameter) + ": [1";
    for (int value = 2; value <= 40; ++value) many += ", " + std::to_string(value);
    many += "]\n";
  }
  expect(many, "more than 1000000 combinations");
}

}  // namespace
}  // namespace duet
