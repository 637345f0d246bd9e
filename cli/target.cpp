#include "cli/target.h"

#include <fmt/format.h>

#include "base/error.h"
#include "cli/calibrated.h"
#include "cli/data_files.h"
#include "emulator/emulator_device.h"
#include "isolation/isolated_compiler.h"
#include "isolation/isolated_device.h"
#include "runtime/board.h"
#include "runtime/cuda/cuda_device.h"
#include "runtime/cuda/slice_name.h"
#include "tuner/board_mode.h"
#include "tuner/compile_cache.h"
#include "tuner/live_device_spec.h"
#include "tuner/memory_hog.h"
#include "tuner/nvrtc_compiler.h"

namespace duet {
namespace {

constexpr const char* kEmulator = "emulator";

// This program once more, as `duet worker`.
IsolationOptions worker_options(std::vector<std::string> arguments, double timeout_s) {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) fail(ErrorKind::missing, "cannot find this program through /proc/self/exe: {}", error.message());
  IsolationOptions options;
  options.command = {self.string(), "worker"};
  options.command.insert(options.command.end(), arguments.begin(), arguments.end());
  options.timeout = std::chrono::milliseconds(static_cast<std::int64_t>(timeout_s * 1000));
  return options;
}

// NVRTC, in worker processes where asked for, with its images kept on disk.
class DiskCachedNvrtc : public KernelCompiler {
 public:
  DiskCachedNvrtc(std::optional<int> max_cuda_major, const Isolation& isolation)
      : nvrtc_(max_cuda_major),
        isolated_(nvrtc_,
                  worker_options({"--max-cuda-major", std::to_string(max_cuda_major.value_or(0))}, kCompileTimeoutS)),
        cached_(isolation.processes ? static_cast<KernelCompiler&>(isolated_) : nvrtc_) {}
  CompileResult compile(const KernelSource& source, const std::string& arch) override {
    return cached_.compile(source, arch);
  }
  std::string version() const override { return cached_.version(); }
  std::string options() const override { return cached_.options(); }
  std::string why_unsupported(const std::string& arch) const { return nvrtc_.why_unsupported(arch); }

 private:
  static constexpr double kCompileTimeoutS = 120;  // hundreds of times what a candidate takes
  NvrtcCompiler nvrtc_;
  IsolatedCompiler isolated_;
  CachedCompiler cached_;
};

// Of a Jetson, whose driver does not give it: its device file's, in this power mode. 0 when unknown.
double memory_gbps_of_board(const DeviceInfo& info) {
  const Board board = recognise_board("/", info.fingerprint.sm_count);
  if (board.device.empty()) return 0;
  const std::filesystem::path folder = data_dir() / "devices";
  const BoardMode found = find_board_mode(load_device_modes(folder, board.device), board);
  return found.mode ? found.mode->memory_gbps : load_device(folder, board.device).memory_gbps;
}

DeviceSpec emulator_spec() { return load_device(data_dir() / "devices", "emulator"); }

std::unique_ptr<Device> open_emulator_device(double timeout_s) {
  EmulatorOptions options;
  options.smem_bytes_per_block = emulator_spec().smem_bytes_per_block;
  options.launch_timeout =
      std::chrono::milliseconds(static_cast<std::int64_t>(1000 * (timeout_s > 0 ? timeout_s : kEmulatorTimeoutS)));
  return EmulatorDevice::open(std::move(options));
}

std::unique_ptr<Device> open_device(const std::string& name, const Isolation& isolation) {
  if (!isolation.processes) return duet::open_device(name, isolation.timeout_s);
  const double usual_s = name == kEmulator ? kEmulatorTimeoutS : kGpuTimeoutS;
  const double timeout_s = isolation.timeout_s > 0 ? isolation.timeout_s : usual_s;
  // The emulator would end a launch by itself; its parent is to do so, as for a GPU.
  std::vector<std::string> arguments{"--target", name, "--timeout-s", std::to_string(2 * timeout_s)};
  if (isolation.obey_faults) arguments.emplace_back("--obey-faults");
  return std::make_unique<IsolatedDevice>(worker_options(std::move(arguments), timeout_s));
}

Target open_gpu(int sms, const Isolation& isolation, double hog_gbps) {
  Target target;
  target.name = slice_target(sms);
  target.device = open_device(target.name, isolation);
  target.compiler =
      std::make_unique<DiskCachedNvrtc>(target.device->info().fingerprint.driver_version / 1000, isolation);
  if (hog_gbps > 0)
    target.device = std::make_unique<HoggedDevice>(std::move(target.device), *target.compiler, hog_gbps);
  const DeviceInfo& info = target.device->info();
  target.spec = calibrated(live_device_spec(info));
  if (info.memory_gbps <= 0) {
    if (const double gbps = memory_gbps_of_board(info); gbps > 0) target.spec.memory_gbps = gbps;
  }
  return target;
}

Target open_emulator(const Isolation& isolation) {
  Target target;
  target.name = kEmulator;
  target.spec = calibrated(emulator_spec());
  target.device = open_device(target.name, isolation);
  return target;
}

Target open_described(const std::string& name, const Isolation& isolation) {
  Target target;
  target.name = name;
  target.spec = calibrated(load_device(data_dir() / "devices", name));
  auto compiler = std::make_unique<DiskCachedNvrtc>(std::nullopt, isolation);
  if (const std::string why = compiler->why_unsupported(target.spec.arch); !why.empty())
    fail(ErrorKind::missing, "{}: {}", name, why);
  target.compiler = std::move(compiler);
  return target;
}

}  // namespace

Target open_target(const std::string& name, const Isolation& isolation, double hog_gbps) {
  const std::optional<int> sms = parse_slice_target(name);
  if (hog_gbps > 0 && sms.value_or(0) == 0)
    fail(ErrorKind::usage,
         "--hog runs on the SMs beside a slice of the GPU, and '{}' is none; use one such as auto/16sm", name);
  if (sms) return open_gpu(*sms, isolation, hog_gbps);
  if (name == kEmulator) return open_emulator(isolation);
  return open_described(name, isolation);
}

std::unique_ptr<Device> open_device(const std::string& name, double timeout_s) {
  if (const std::optional<int> sms = parse_slice_target(name)) return CudaDevice::open(0, *sms);
  if (name == kEmulator) return open_emulator_device(timeout_s);
  fail(ErrorKind::missing, "no device '{}' is here; a device here is 'auto', 'auto/16sm' or 'emulator'", name);
}

}  // namespace duet
