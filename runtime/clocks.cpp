#include "runtime/clocks.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <string_view>
#include <system_error>

namespace duet {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxFileBytes = 1 << 20;

// Sysfs files say nothing of their size, and may vanish or refuse: an empty text then.
std::string read_small_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxFileBytes, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\0' || text.back() == ' ')) text.pop_back();
  return text;
}

std::optional<long long> parse_number(std::string_view text) {
  long long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

std::optional<long long> read_number(const fs::path& path) { return parse_number(read_small_file(path)); }

int read_mhz(const fs::path& path) {
  const long long hertz = read_number(path).value_or(0);
  return hertz > 0 && hertz < 100'000'000'000 ? static_cast<int>(hertz / 1'000'000) : 0;
}

std::vector<fs::path> list_folder(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    entries.push_back(it->path());
  }
  std::sort(entries.begin(), entries.end());
  return entries;
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

// ina3221 channels: volts and amperes, named by label; "NC" is not connected.
void add_rails(const fs::path& monitor, std::vector<PowerRail>& rails) {
  for (int channel = 1; channel <= 8; ++channel) {
    const std::string number = std::to_string(channel);
    const std::string label = read_small_file(monitor / ("in" + number + "_label"));
    const auto millivolts = read_number(monitor / ("in" + number + "_input"));
    const auto milliamperes = read_number(monitor / ("curr" + number + "_input"));
    if (label.empty() || label == "NC" || !millivolts || !milliamperes) continue;
    rails.push_back({label, static_cast<double>(*millivolts) * static_cast<double>(*milliamperes) * 1e-6});
  }
}

std::vector<PowerRail> read_rails(const fs::path& root) {
  std::vector<PowerRail> rails;
  for (const fs::path& device : list_folder(root / "sys/bus/i2c/devices")) {
    for (const fs::path& monitor : list_folder(device / "hwmon")) add_rails(monitor, rails);
  }
  return rails;
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

struct ModuleName {
  std::string_view part;  // of /proc/device-tree/compatible
  std::string_view name;
};
constexpr std::array kModules{
    ModuleName{"p3767-0000", "Jetson Orin NX 16GB"},        ModuleName{"p3767-0001", "Jetson Orin NX 8GB"},
    ModuleName{"p3767-0003", "Jetson Orin Nano 8GB"},       ModuleName{"p3767-0005", "Jetson Orin Nano 8GB"},
    ModuleName{"p3767-0004", "Jetson Orin Nano 4GB"},       ModuleName{"p3701-0000", "Jetson AGX Orin"},
    ModuleName{"p3701-0004", "Jetson AGX Orin 32GB"},       ModuleName{"p3701-0005", "Jetson AGX Orin 64GB"},
    ModuleName{"p3701-0008", "Jetson AGX Orin Industrial"}, ModuleName{"p3834-0008", "Jetson Thor T5000"},
};

}  // namespace

std::optional<std::string> jetson_module(const fs::path& root) {
  const std::string compatible = read_small_file(root / "proc/device-tree/compatible");
  for (const ModuleName& module : kModules) {
    if (compatible.find(module.part) != std::string::npos) return std::string(module.name);
  }
  if (!contains_any(compatible, {"nvidia,tegra", "nvidia,p3"})) return std::nullopt;
  const std::string board = read_small_file(root / "proc/device-tree/model");
  return board.empty() ? "Jetson" : board;
}

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

}  // namespace duet
