// `duet doctor`: what this machine has, and what it can therefore do.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/data_files.h"
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

Finding find_gpu() {
  Finding finding{.what = "gpu", .present = false, .detail = {}};
  std::string why;
  finding.present = CudaDevice::available(&why);
  try {
    finding.detail = finding.present ? CudaDevice::open()->environment_text() : why;
  } catch (const Error& error) {
    finding = {.what = "gpu", .present = false, .detail = error.what()};
  }
  return finding;
}

Finding find_nvrtc() {
  try {
    return {.what = "nvrtc", .present = true, .detail = NvrtcCompiler().version()};
  } catch (const Error& error) {
    return {.what = "nvrtc", .present = false, .detail = error.what()};
  }
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

void doctor(const GlobalFlags& global) {
  const std::vector<Finding> findings{find_gpu(), find_nvrtc(), find_emulator(), find_data()};
  const std::vector<std::string> able = abilities(findings);
  if (global.json) {
    nlohmann::json out{{"version", DUET_VERSION}, {"cache", default_cache_dir().string()}, {"able", able}};
    for (const Finding& f : findings) {
      out[f.what] = f.present;
      out["details"][f.what] = f.detail;
    }
    fmt::print("{}\n", out.dump(2));
    return;
  }
  for (const Finding& f : findings) fmt::print("{:<10}{:<5}{}\n", f.what, f.present ? "yes" : "no", f.detail);
  fmt::print("{:<15}{}\n", "cache", default_cache_dir().string());
  fmt::print("\nThis machine can:\n");
  for (const std::string& line : able) fmt::print("  - {}\n", line);
}

}  // namespace

void add_doctor_command(CLI::App& app, const GlobalFlags& global) {
  CLI::App* command = app.add_subcommand("doctor", "What this machine has, and what it can do");
  command->footer("Example: duet doctor --json");
  command->callback([&global] { doctor(global); });
}

}  // namespace duet
