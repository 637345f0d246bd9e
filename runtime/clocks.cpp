#include "runtime/clocks.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/power_rails.h"
#include "runtime/sysfs.h"

namespace duet {
namespace {

namespace fs = std::filesystem;

int read_mhz(const fs::path& path) {
  const long long hertz = read_number(path).value_or(0);
  return hertz > 0 && hertz < 100'000'000'000 ? static_cast<int>(hertz / 1'000'000) : 0;
}

bool contains_any(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(),
                     [&](std::string_view word) { return text.find(word) != std::string_view::npos; });
}

// The devfreq node of the GPU: 17000000.gpu, 17000000.ga10b (JetPack 5), gpu-gpc-0 (Thor).
std::optional<fs::path> gpu_devfreq(const fs::path& root) {
  for (const fs::path& node : list_folder(root / "sys/class/devfreq")) {
    if (contains_any(node.filename().string(), {"gpu", "ga10b", "gv11b", "gp10b"})) return node;
  }
  return std::nullopt;
}

std::optional<double> gpu_temperature(const fs::path& root) {
  for (const fs::path& zone : list_folder(root / "sys/class/thermal")) {
    if (!contains_any(read_small_file(zone / "type"), {"gpu", "GPU"})) continue;
    if (const auto millidegrees = read_number(zone / "temp")) return static_cast<double>(*millidegrees) / 1000.0;
  }
  return std::nullopt;
}

std::vector<PowerRail> read_rails(const fs::path& root) {
  std::vector<PowerRail> rails;
  for (const RailFiles& rail : find_power_rails(root))
    if (const auto watts = read_watts(rail)) rails.push_back({rail.name, *watts});
  return rails;
}

// The counters of the power supply's alarms, of one monitor named soctherm_oc: oc1 for too low a voltage, oc2 and oc3
// for too high a current, on average and at a moment. One whose throt_en is 0 throttles nothing.
std::int64_t overcurrent_events(const fs::path& root) {
  for (const fs::path& monitor : list_folder(root / "sys/class/hwmon")) {
    std::int64_t events = -1;
    for (int alarm = 1;; ++alarm) {
      const std::string name = "oc" + std::to_string(alarm);
      const auto count = read_number(monitor / (name + "_event_cnt"));
      if (!count) break;
      const bool throttles = read_number(monitor / (name + "_throt_en")) != 0;
      events = std::max<std::int64_t>(events, 0) + (throttles ? *count : 0);
    }
    if (events >= 0) return events;
  }
  return -1;
}

// /var/lib/nvpmodel/status holds "pmode:0002"; /etc/nvpmodel.conf names it: "< POWER_MODEL ID=2 NAME=MODE_30W >".
std::string mode_name(std::string_view conf, long long id) {
  constexpr std::string_view kId = "ID=";
  constexpr std::string_view kName = "NAME=";
  for (std::size_t at = conf.find("POWER_MODEL"); at != std::string_view::npos; at = conf.find("POWER_MODEL", at + 1)) {
    const std::string_view line = conf.substr(at, conf.find('\n', at) - at);
    const std::size_t id_at = line.find(kId);
    const std::size_t name_at = line.find(kName);
    if (id_at == std::string_view::npos || name_at == std::string_view::npos) continue;
    if (parse_number(line.substr(id_at + kId.size())) != id) continue;
    std::string_view name = line.substr(name_at + kName.size());
    name = name.substr(0, name.find_first_of(" \t>"));
    if (name.starts_with("MODE_")) name.remove_prefix(5);
    return std::string(name);
  }
  return {};
}

std::string power_mode(const fs::path& root) {
  const std::string status = read_small_file(root / "var/lib/nvpmodel/status");
  const std::size_t at = status.find("pmode:");
  if (at == std::string::npos) return {};
  const auto id = parse_number(std::string_view(status).substr(at + 6));
  if (!id) return {};
  const std::string name = mode_name(read_small_file(root / "etc/nvpmodel.conf"), *id);
  return name.empty() ? "mode " + std::to_string(*id) : name;
}

}  // namespace

ClockReading read_jetson_clocks(const fs::path& root) {
  ClockReading reading;
  if (const auto gpu = gpu_devfreq(root)) {
    reading.sm_clock_mhz = read_mhz(*gpu / "cur_freq");
    reading.max_sm_clock_mhz = read_mhz(*gpu / "max_freq");
  }
  const fs::path memory = root / "sys/kernel/debug/bpmp/debug/clk/emc";  // readable by root only
  reading.memory_clock_mhz = read_mhz(memory / "rate");
  reading.max_memory_clock_mhz = read_mhz(memory / "max_rate");
  reading.temperature_c = gpu_temperature(root);
  reading.rails = read_rails(root);
  reading.power_mode = power_mode(root);
  return reading;
}

DeviceState read_jetson_state(const fs::path& root) {
  DeviceState state;
  if (const auto gpu = gpu_devfreq(root)) state.sm_clock_mhz = read_mhz(*gpu / "cur_freq");
  state.temperature_c = gpu_temperature(root).value_or(0);
  state.power_mode = power_mode(root);
  state.overcurrent_events = overcurrent_events(root);
  return state;
}

}  // namespace duet
