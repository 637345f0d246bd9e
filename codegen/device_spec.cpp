#include "codegen/device_spec.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <span>

#include "base/error.h"
#include "base/file.h"
#include "base/one_line.h"
#include "codegen/yaml_document.h"

namespace duet {
namespace {

constexpr std::uint64_t kMaxFileBytes = 1 << 16;

// A number in the file: its limits catch slips of unit, and keep what is computed from it finite.
struct NumberField {
  std::string_view name;
  double least, most;
  bool whole;
  bool per_mode;  // a power mode may set it
  void (*store)(DeviceSpec&, double);
};
constexpr NumberField kNumbers[] = {
    {"sm_count", 1, 1024, true, true, [](DeviceSpec& d, double v) { d.sm_count = static_cast<int>(v); }},
    {"sm_clock_mhz", 1, 10000, true, true, [](DeviceSpec& d, double v) { d.sm_clock_mhz = static_cast<int>(v); }},
    {"memory_gbps", 0.1, 100000, false, true, [](DeviceSpec& d, double v) { d.memory_gbps = v; }},
    {"l2_bytes", 1024, 1e10, true, false, [](DeviceSpec& d, double v) { d.l2_bytes = static_cast<std::int64_t>(v); }},
    {"smem_bytes_per_block", 1024, 1 << 24, true, false,
     [](DeviceSpec& d, double v) { d.smem_bytes_per_block = static_cast<int>(v); }},
    {"smem_bytes_per_sm", 1024, 1 << 24, true, false,
     [](DeviceSpec& d, double v) { d.smem_bytes_per_sm = static_cast<int>(v); }},
    {"registers_per_sm", 1024, 1 << 24, true, false,
     [](DeviceSpec& d, double v) { d.registers_per_sm = static_cast<int>(v); }},
    {"threads_per_sm", 32, 65536, true, false, [](DeviceSpec& d, double v) { d.threads_per_sm = static_cast<int>(v); }},
    {"blocks_per_sm", 1, 1024, true, false, [](DeviceSpec& d, double v) { d.blocks_per_sm = static_cast<int>(v); }},
    {"launch_us", 0, 1000, false, false, [](DeviceSpec& d, double v) { d.launch_us = v; }},
    // Operations a cycle and SM; the peaks at the mode's clock and SM count follow.
    {"fp16_flops_per_sm_cycle", 1, 1 << 20, true, false, [](DeviceSpec& d, double v) { d.fp16_tflops = v; }},
    {"fp32_flops_per_sm_cycle", 1, 1 << 20, true, false, [](DeviceSpec& d, double v) { d.fp32_tflops = v; }},
};
constexpr std::string_view kOtherKeys[] = {"duet_device", "name", "module", "arch", "default_mode", "modes"};

const NumberField* find_number(std::string_view name) {
  const auto* found = std::find_if(std::begin(kNumbers), std::end(kNumbers),
                                   [&](const NumberField& field) { return field.name == name; });
  return found == std::end(kNumbers) ? nullptr : found;
}

class DeviceFile {
 public:
  DeviceFile(std::string file_name, std::string_view text)
      : file_(std::move(file_name)), root_(parse_yaml(text, file_)) {}

  DeviceSpec read(std::string_view name, std::string_view mode) {
    check_keys();
    if (text_of(require("duet_device")) != "1")
      fail_at(require("duet_device").line, "unknown version of the format: this Duet reads duet_device: 1");
    device_.name = text_of(require("name"));
    if (device_.name != name)
      fail_at(require("name").line, fmt::format("name '{}' in a file for '{}'", device_.name, name));
    device_.module = text_of(require("module"));
    device_.arch = marked(require("arch"), "arch");
    check_arch();
    for (const NumberField& field : kNumbers) set_number(field, require(field.name));
    set_mode(mode);
    finish_peaks();
    return device_;
  }

  std::vector<std::string> modes() const {
    std::vector<std::string> names;
    for (const auto& [name, mode] : require("modes").fields) names.push_back(name);
    return names;
  }

 private:
  [[noreturn]] void fail_at(int line, std::string_view message) const {
    fail(ErrorKind::input, "{}:{}: {}", file_, line, one_line(message));
  }

  const YamlNode& require(std::string_view key) const {
    if (const YamlNode* found = root_.find(key)) return *found;
    fail_at(root_.line, fmt::format("'{}' is missing: see docs/device-format.md", key));
  }

  void check_keys() const {
    std::vector<std::string_view> known(std::begin(kOtherKeys), std::end(kOtherKeys));
    for (const NumberField& field : kNumbers) known.push_back(field.name);
    for (const auto& [key, node] : root_.fields)
      if (std::find(known.begin(), known.end(), key) == known.end())
        fail_at(node.line, fmt::format("unknown key '{}'{}", key, suggestion(key, known)));
  }

  std::string text_of(const YamlNode& node) const {
    if (node.kind != YamlNode::Kind::scalar || node.text.empty() || node.text.size() > 200)
      fail_at(node.line, "a short text is expected here");
    return node.text;
  }

  // [value, mark]: returns the value and records the mark.
  std::string marked(const YamlNode& node, std::string_view field) {
    if (node.kind != YamlNode::Kind::sequence || node.items.size() != 2)
      fail_at(node.line, fmt::format("{} must be [value, mark] with mark s (seen) or r (remembered)", field));
    const std::string mark = text_of(node.items[1]);
    if (mark != "s" && mark != "r")
      fail_at(node.items[1].line, fmt::format("{}: mark '{}' must be s (seen) or r (remembered)", field, mark));
    device_.confidence[std::string(field)] = mark == "s" ? Confidence::seen : Confidence::remembered;
    return text_of(node.items[0]);
  }

  void check_arch() const {
    const std::string_view digits =
        std::string_view(device_.arch).substr(std::min<std::size_t>(3, device_.arch.size()));
    const bool valid = device_.arch.starts_with("sm_") && digits.size() >= 2 && digits.size() <= 3 &&
                       std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!valid) fail_at(require("arch").line, fmt::format("arch '{}' must read like sm_87", device_.arch));
  }

  void set_number(const NumberField& field, const YamlNode& node) {
    const std::string text = marked(node, field.name);
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool number = error == std::errc{} && end == text.data() + text.size() && std::isfinite(value);
    if (!number || value < field.least || value > field.most || (field.whole && value != std::floor(value)))
      fail_at(node.line, fmt::format("{}: '{}' is no {} from {} to {}", field.name, text,
                                     field.whole ? "whole number" : "number", field.least, field.most));
    field.store(device_, value);
  }

  void set_mode(std::string_view wanted) {
    const YamlNode& modes = require("modes");
    if (modes.kind != YamlNode::Kind::map || modes.fields.empty())
      fail_at(modes.line, "modes must be a map of power modes, one at least");
    device_.power_mode = wanted.empty() ? text_of(require("default_mode")) : std::string(wanted);
    // All modes are checked, not only the one that is used.
    const DeviceSpec base = device_;
    DeviceSpec chosen;
    for (const auto& [name, mode] : modes.fields) {
      device_ = base;
      apply_mode(name, mode);
      if (name == base.power_mode) chosen = device_;
    }
    if (chosen.name.empty())
      fail_at(wanted.empty() ? require("default_mode").line : modes.line,
              fmt::format("no power mode '{}': this file has {}", base.power_mode, fmt::join(this->modes(), ", ")));
    device_ = std::move(chosen);
  }

  void apply_mode(const std::string& name, const YamlNode& mode) {
    if (mode.kind != YamlNode::Kind::map) fail_at(mode.line, fmt::format("mode {} must be a map", name));
    for (const std::string_view key : {"sm_count", "sm_clock_mhz"})
      if (mode.find(key) == nullptr) fail_at(mode.line, fmt::format("mode {}: '{}' is missing", name, key));
    for (const auto& [key, node] : mode.fields) {
      const NumberField* field = find_number(key);
      if (field == nullptr || !field->per_mode)
        fail_at(node.line,
                fmt::format("mode {}: a mode sets sm_count, sm_clock_mhz and memory_gbps, not '{}'", name, key));
      set_number(*field, node);
    }
  }

  // The stored values are operations a cycle and SM until here.
  void finish_peaks() {
    const double sm_cycles_per_us = static_cast<double>(device_.sm_count) * device_.sm_clock_mhz;
    device_.fp16_tflops *= sm_cycles_per_us / 1e6;
    device_.fp32_tflops *= sm_cycles_per_us / 1e6;
    for (const auto& [peak, rate] :
         {std::pair{"fp16_tflops", "fp16_flops_per_sm_cycle"}, std::pair{"fp32_tflops", "fp32_flops_per_sm_cycle"}}) {
      device_.confidence[peak] = weakest({rate, "sm_count", "sm_clock_mhz"});
      device_.confidence.erase(rate);
    }
  }

  Confidence weakest(std::initializer_list<const char*> fields) const {
    const bool seen = std::all_of(fields.begin(), fields.end(),
                                  [&](const char* field) { return device_.confidence.at(field) == Confidence::seen; });
    return seen ? Confidence::seen : Confidence::remembered;
  }

  std::string file_;
  YamlNode root_;
  DeviceSpec device_;
};

bool is_plain_name(std::string_view name) {
  return !name.empty() && name.size() <= 100 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

DeviceFile open_device_file(const std::filesystem::path& directory, std::string_view name) {
  const std::filesystem::path path = directory / (std::string(name) + ".yaml");
  if (!is_plain_name(name) || !std::filesystem::is_regular_file(path))
    fail(ErrorKind::input, "unknown device '{}': {} has {}", name, directory.string(),
         fmt::join(list_devices(directory), ", "));
  return DeviceFile(path.string(), read_text_file(path, kMaxFileBytes));
}

}  // namespace

int arch_number(std::string_view arch) {
  int number = 0;
  if (!arch.starts_with("sm_")) return 0;
  const auto result = std::from_chars(arch.data() + 3, arch.data() + arch.size(), number);
  return result.ec == std::errc() ? number : 0;
}

DeviceSpec load_device(const std::filesystem::path& directory, std::string_view name) {
  const std::size_t at = name.find('@');
  const std::string_view module = name.substr(0, at);
  const std::string_view mode = at == std::string_view::npos ? std::string_view{} : name.substr(at + 1);
  if (at != std::string_view::npos && mode.empty())
    fail(ErrorKind::input, "device '{}': a power mode must follow the @", name);
  return open_device_file(directory, module).read(module, mode);
}

std::vector<DeviceSpec> load_device_modes(const std::filesystem::path& directory, std::string_view name) {
  std::vector<DeviceSpec> specs;
  for (const std::string& mode : open_device_file(directory, name).modes())
    specs.push_back(load_device(directory, fmt::format("{}@{}", name, mode)));
  return specs;
}

std::vector<std::string> list_devices(const std::filesystem::path& directory) {
  std::error_code error;
  std::filesystem::directory_iterator entries(directory, error);
  if (error) fail(ErrorKind::input, "cannot read the device folder {}: {}", directory.string(), error.message());
  std::vector<std::string> names;
  for (const std::filesystem::directory_entry& entry : entries)
    if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace duet
