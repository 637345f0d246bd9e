#include "tuner/recorded_problems.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <numeric>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "codegen/parse_problem.h"
#include "codegen/tile_fields.h"
#include "codegen/tile_text.h"
#include "tuner/kernel_traffic.h"
#include "tuner/recorded_space.h"

namespace duet {
namespace {

namespace fs = std::filesystem;

std::string folder_name(const fs::path& folder) {
  return (folder.has_filename() ? folder : folder.parent_path()).filename().string();
}

// The whole number that ends where `text` ends: 132 of "sm_90_132".
std::optional<int> trailing_number(std::string_view text) {
  const std::size_t before = text.find_last_not_of("0123456789");
  const std::string_view digits = text.substr(before == std::string_view::npos ? 0 : before + 1);
  int value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size() || value < 1) return std::nullopt;
  return value;
}

// "..._sm_90_16_SMs_1980_MHz,...": what device_text says of a device, as the name of a folder.
struct NamedDevice {
  std::string arch;
  int sm_count, clock_mhz;
};
std::optional<NamedDevice> parse_folder_name(std::string_view name) {
  const std::size_t sms = name.rfind("_SMs_"), arch = name.rfind("_sm_"), mhz = name.rfind("_MHz");
  if (sms == std::string_view::npos || arch == std::string_view::npos || mhz == std::string_view::npos) return {};
  if (arch > sms || sms > mhz) return std::nullopt;
  const std::string_view between = name.substr(arch + 1, sms - arch - 1);  // "sm_90_16"
  const std::optional<int> count = trailing_number(between), clock = trailing_number(name.substr(0, mhz));
  const std::size_t arch_end = between.find('_', 3);
  if (!count || !clock || arch_end == std::string_view::npos) return std::nullopt;
  return NamedDevice{std::string(between.substr(0, arch_end)), *count, *clock};
}

// `base` with other SMs and another clock; its peaks follow.
DeviceSpec resized(DeviceSpec base, int sm_count, int clock_mhz) {
  const double scale =
      static_cast<double>(sm_count) * clock_mhz / (static_cast<double>(base.sm_count) * base.sm_clock_mhz);
  base.fp16_tflops *= scale;
  base.fp32_tflops *= scale;
  base.sm_count = sm_count;
  base.sm_clock_mhz = clock_mhz;
  return base;
}

bool is_table(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.ends_with(".csv") || name.ends_with(".csv.gz");
}

KernelTile tile_of_point(std::string_view family, const SearchPoint& point) {
  std::string text;
  for (const auto& [name, value] : point.parameters) text += fmt::format("{}={} ", name, value);
  return parse_tile(family, text);
}

// Came after spaces had been recorded without them, which had their defaults.
constexpr std::string_view kLaterParameters[] = {"warps_kv", "min_blocks"};

// Every parameter of the family by name; one more is refused where tiles are made.
void check_parameters(const ReplayedSpace& space, std::string_view family) {
  for (const std::string_view name : parameter_names(family)) {
    if (std::find(std::begin(kLaterParameters), std::end(kLaterParameters), name) != std::end(kLaterParameters))
      continue;
    if (std::find(space.parameters.begin(), space.parameters.end(), name) == space.parameters.end())
      fail(ErrorKind::input, "the parameter {} of the family {} is missing", name, family);
  }
}

RecordedProblem make_problem(const ReplayedSpace& space, const DeviceSpec& device) {
  RecordedProblem problem{.name = {}, .spec = parse_problem(space.name), .candidates = {}};
  problem.name = problem_text(problem.spec);
  const std::string_view family = family_name(problem.spec);
  check_parameters(space, family);
  const KernelTraffic traffic = kernel_traffic(problem.spec);
  for (std::size_t i = 0; i < space.points.size(); ++i) {
    if (space.time_ms[i] <= 0) continue;
    constexpr double kUsPerMs = 1000;
    KernelTile tile = tile_of_point(family, space.points[i]);
    const KernelCandidate candidate = make_candidate(problem.spec, tile, device);
    const bool runs = candidate.infeasible.empty();
    const CostInputs inputs = runs ? cost_inputs(candidate, traffic, device) : CostInputs{};
    if (inputs.blocks_per_sm == 0) {  // or the estimate of its registers was too high
      ++problem.infeasible;
      continue;
    }
    problem.candidates.push_back({.tile = tile, .time_us = space.time_ms[i] * kUsPerMs, .inputs = inputs});
  }
  return problem;
}

}  // namespace

std::size_t RecordedSpaces::candidate_count() const {
  return std::accumulate(
      problems.begin(), problems.end(), std::size_t{0},
      [](std::size_t sum, const RecordedProblem& problem) { return sum + problem.candidates.size(); });
}

DeviceSpec device_of_folder(const fs::path& folder, const fs::path& devices) {
  const std::string name = folder_name(folder);
  const std::optional<NamedDevice> named = parse_folder_name(name);
  if (!named)
    fail(ErrorKind::input,
         "{}: the folder's name says no device: `duet spaces export` names it 'MODULE_sm_90_132_SMs_1980_MHz'", name);
  for (const std::string& file : list_devices(devices)) {
    const DeviceSpec device = load_device(devices, file);
    if (device.arch == named->arch && name.starts_with(recorded_space_file_name(device.module)))
      return resized(device, named->sm_count, named->clock_mhz);
  }
  fail(ErrorKind::input, "{}: no file of {} describes this module; add one (docs/device-format.md)", name,
       devices.string());
}

RecordedSpaces read_recorded_spaces(const fs::path& folder, const fs::path& devices) {
  std::error_code error;
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error))
    if (is_table(entry.path())) files.push_back(entry.path());
  if (error)
    fail(ErrorKind::input, "cannot read the folder of recorded spaces {}: {}", folder.string(), error.message());
  std::sort(files.begin(), files.end());
  RecordedSpaces spaces{
      .name = folder_name(folder), .device = device_of_folder(folder, devices), .problems = {}, .skipped = {}};
  for (const fs::path& file : files) {
    const ReplayedSpace space = read_replayed_space(file);
    try {
      RecordedProblem problem = make_problem(space, spaces.device);
      if (problem.infeasible > 0)
        spaces.skipped.push_back(fmt::format("{}: {} of its timed candidates, infeasible by the rules of this Duet",
                                             file.filename().string(), problem.infeasible));
      if (!problem.candidates.empty()) spaces.problems.push_back(std::move(problem));
    } catch (const Error& reason) {
      spaces.skipped.push_back(fmt::format("{}: {}", file.filename().string(), reason.what()));
    }
  }
  if (spaces.problems.empty())
    fail(ErrorKind::input, "{}: no recorded space of it can be read{}", folder.string(),
         spaces.skipped.empty() ? std::string(": it holds none") : "; the first: " + spaces.skipped.front());
  return spaces;
}

bool predict_points(ReplayedSpace& space, const DeviceSpec& device) {
  try {
    const KernelSpec spec = parse_problem(space.name);
    check_parameters(space, family_name(spec));
    const KernelTraffic traffic = kernel_traffic(spec);
    std::vector<double> predicted_us;
    for (const SearchPoint& point : space.points) {
      const KernelCandidate candidate = make_candidate(spec, tile_of_point(family_name(spec), point), device);
      // Infeasible by now: tried last, as what is expected to take longest.
      predicted_us.push_back(candidate.infeasible.empty() ? predict(candidate, traffic, device).total_us
                                                          : std::numeric_limits<double>::infinity());
    }
    for (std::size_t i = 0; i < predicted_us.size(); ++i) space.points[i].predicted_us = predicted_us[i];
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace duet
