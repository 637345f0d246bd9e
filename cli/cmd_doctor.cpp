// `duet doctor`: what this machine has, and what it can therefore do.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "cli/board_report.h"
#include "cli/command.h"
#include "cli/data_files.h"
#include "cli/version.h"
#include "codegen/device_spec.h"
#include "emulator/emulator_device.h"
#include "runtime/cuda/cuda_device.h"
#include "tuner/nvrtc_compiler.h"

namespace duet {
namespace {

struct Finding {
  std::string what;
  bool present = false;
  std::string detail;  // what was found, or what is missing and what still works
};

struct Gpu {
  Finding finding{.what = "gpu", .present = false, .detail = {}};
  Finding partition{.what = "partition", .present = false, .detail = "needs a GPU"};
  Finding energy{.what = "energy", .present = false, .detail = "needs a GPU or a Jetson's power rails"};
  int sm_count = 0;
};

// Whether towers can have SMs of their own here (`duet tune --mode partition`).
Finding find_partition(const DeviceInfo& info) {
  const SmGranule& granule = info.sm_granule;
  if (granule.least > 0)
    return {.what = "partition",
            .present = true,
            .detail = fmt::format("{} SMs, divided in {} or more by steps of {}", info.fingerprint.sm_count,
                                  granule.least, granule.step)};
  return {.what = "partition",
          .present = false,
          .detail = "the driver has no green contexts (CUDA 12.4): plans of that mode run on plain streams"};
}

Gpu find_gpu() {
  Gpu gpu;
  if (!CudaDevice::available(&gpu.finding.detail)) return gpu;
  try {
    const auto device = CudaDevice::open();
    gpu.finding = {.what = "gpu", .present = true, .detail = device->environment_text()};
    gpu.sm_count = device->info().fingerprint.sm_count;
    gpu.partition = find_partition(device->info());
    gpu.energy.present = device->energy_counter() != nullptr;
    gpu.energy.detail = gpu.energy.present ? "NVML's counter of the board" : "NVML is absent or has no counter";
  } catch (const Error& error) {
    gpu.finding.detail = error.what();
  }
  return gpu;
}

// Where a Jetson's rails are read, they are named.
Finding find_energy(const Gpu& gpu, const BoardReport& board) {
  if (!board.board.jetson) return gpu.energy;
  const std::string rails = rails_text(board);
  return {.what = "energy",
          .present = !rails.empty(),
          .detail = rails.empty() ? "no ina3221 power rail under sys/bus/i2c can be read" : rails};
}

// All of them: JetPack 6 takes the images of CUDA 12 alone.
Finding find_nvrtc() {
  Finding finding{.what = "nvrtc", .present = false, .detail = {}};
  for (const auto& library : find_all_nvrtc()) {
    finding.present = true;
    finding.detail += fmt::format("{}NVRTC {}.{} ({})", finding.detail.empty() ? "" : ", ", library->version.major,
                                  library->version.minor, library->path.string());
  }
  if (finding.present) return finding;
  try {
    NvrtcCompiler().version();
  } catch (const Error& error) {
    finding.detail = error.what();
  }
  return finding;
}

Finding find_emulator() {
  try {
    EmulatorDevice::open();
    return {.what = "emulator", .present = true, .detail = "generated kernels run on the CPU, checked"};
  } catch (const Error& error) {
    return {.what = "emulator", .present = false, .detail = error.what()};
  }
}

Finding find_data() {
  try {
    return {.what = "data", .present = true, .detail = data_dir().string()};
  } catch (const Error& error) {
    return {.what = "data", .present = false, .detail = error.what()};
  }
}

std::vector<std::string> abilities(const std::vector<Finding>& findings) {
  const auto has = [&](std::string_view what) {
    return std::any_of(findings.begin(), findings.end(), [&](const Finding& f) { return f.what == what && f.present; });
  };
  std::vector<std::string> able;
  if (has("data")) able.push_back("check graphs and generate kernel sources");
  if (has("emulator")) able.push_back("tune and run on the emulator (emulated plans)");
  if (has("nvrtc")) able.push_back("compile for absent devices (predicted plans)");
  if (has("gpu")) able.push_back("run and time plans on the GPU here");
  if (has("gpu") && has("nvrtc")) able.push_back("tune for the GPU here (measured plans)");
  return able;
}

void doctor(const std::filesystem::path& root, const GlobalFlags& global) {
  const Gpu gpu = find_gpu();
  const BoardReport board = report_board(root, gpu.sm_count);
  const std::vector<Finding> findings{gpu.finding,  gpu.partition,   find_energy(gpu, board),
                                      find_nvrtc(), find_emulator(), find_data()};
  const std::vector<std::string> able = abilities(findings);
  if (global.json) {
    nlohmann::json out{{"version", DUET_VERSION},
                       {"commit", built_commit()},
                       {"cache", default_cache_dir().string()},
                       {"able", able},
                       {"board", board_json(board)}};
    for (const Finding& f : findings) {
      out[f.what] = f.present;
      out["details"][f.what] = f.detail;
    }
    fmt::print("{}\n", out.dump(2));
    return;
  }
  for (const Finding& f : findings) fmt::print("{:<10}{:<5}{}\n", f.what, f.present ? "yes" : "no", f.detail);
  fmt::print("{}", board_text(board));
  fmt::print("{:<15}{}\n", "cache", default_cache_dir().string());
  fmt::print("\nThis machine can:\n");
  for (const std::string& line : able) fmt::print("  - {}\n", line);
}

}  // namespace

void add_doctor_command(CLI::App& app, const GlobalFlags& global) {
  CLI::App* command = app.add_subcommand("doctor", "What this machine has, and what it can do");
  auto root = std::make_shared<std::filesystem::path>("/");
  command->add_option("--board-files", *root, "Root of the board's files (a copied tree names another board)")
      ->capture_default_str();
  command->footer("Example: duet doctor --json");
  command->callback([root, &global] { doctor(*root, global); });
}

}  // namespace duet
