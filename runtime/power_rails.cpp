#include "runtime/power_rails.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <set>
#include <string_view>

#include "runtime/sysfs.h"

namespace duet {
namespace {

namespace fs = std::filesystem;

// The driver lists its monitors, the bus every device: on a board both lead to the same folders.
constexpr std::array<const char*, 2> kDeviceFolders = {"sys/bus/i2c/drivers/ina3221", "sys/bus/i2c/devices"};
constexpr int kMostChannels = 8;  // of which a monitor labels those that it measures
constexpr std::string_view kNotConnected = "NC";

constexpr std::array<std::string_view, 2> kInputRails = {"VDD_IN", "VIN"};  // of a whole module
constexpr std::string_view kFedRail = "VDDQ_VDD2_1V8AO";                    // of AGX Orin, behind its VIN_SYS_5V0

void add_rails(const fs::path& monitor, std::vector<RailFiles>& rails) {
  for (int channel = 1; channel <= kMostChannels; ++channel) {
    const std::string number = std::to_string(channel);
    RailFiles rail{.name = read_small_file(monitor / ("in" + number + "_label")),
                   .millivolts = monitor / ("in" + number + "_input"),
                   .milliamperes = monitor / ("curr" + number + "_input")};
    if (!rail.name.empty() && rail.name != kNotConnected && read_watts(rail)) rails.push_back(std::move(rail));
  }
}

bool is_input(const RailFiles& rail) {
  return std::find(kInputRails.begin(), kInputRails.end(), rail.name) != kInputRails.end();
}

}  // namespace

std::vector<RailFiles> find_power_rails(const fs::path& root) {
  std::vector<RailFiles> rails;
  std::set<std::string> seen;  // "1-0040": bus and address
  for (const char* folder : kDeviceFolders) {
    for (const fs::path& device : list_folder(root / folder)) {
      const std::vector<fs::path> monitors = list_folder(device / "hwmon");
      if (monitors.empty() || !seen.insert(device.filename().string()).second) continue;
      for (const fs::path& monitor : monitors) add_rails(monitor, rails);
    }
  }
  return rails;
}

std::optional<double> read_watts(const RailFiles& rail) {
  const auto millivolts = read_number(rail.millivolts);
  const auto milliamperes = read_number(rail.milliamperes);
  if (!millivolts || !milliamperes) return std::nullopt;
  return static_cast<double>(*millivolts) * static_cast<double>(*milliamperes) * 1e-6;
}

std::vector<RailFiles> module_rails(const std::vector<RailFiles>& rails) {
  const auto input = std::find_if(rails.begin(), rails.end(), is_input);
  if (input != rails.end()) return {*input};
  std::vector<RailFiles> sources;
  std::copy_if(rails.begin(), rails.end(), std::back_inserter(sources),
               [](const RailFiles& rail) { return rail.name != kFedRail; });
  return sources;
}

}  // namespace duet
