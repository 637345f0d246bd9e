#include "cli/target.h"

#include <fmt/format.h>

#include "base/error.h"
#include "cli/data_files.h"
#include "emulator/emulator_device.h"
#include "runtime/board.h"
#include "runtime/cuda/cuda_device.h"
#include "runtime/cuda/slice_name.h"
#include "tuner/board_mode.h"
#include "tuner/compile_cache.h"
#include "tuner/live_device_spec.h"
#include "tuner/nvrtc_compiler.h"

namespace duet {
namespace {

// NVRTC with its images kept on disk.
class DiskCachedNvrtc : public KernelCompiler {
 public:
  explicit DiskCachedNvrtc(std::optional<int> max_cuda_major) : nvrtc_(max_cuda_major), cached_(nvrtc_) {}
  CompileResult compile(const KernelSource& source, const std::string& arch) override {
    return cached_.compile(source, arch);
  }
  std::string version() const override { return cached_.version(); }
  std::string options() const override { return cached_.options(); }
  std::string why_unsupported(const std::string& arch) const { return nvrtc_.why_unsupported(arch); }

 private:
  NvrtcCompiler nvrtc_;
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

Target open_gpu(int sms) {
  Target target;
  target.name = slice_target(sms);
  target.device = CudaDevice::open(0, sms);
  const DeviceInfo& info = target.device->info();
  target.spec = live_device_spec(info);
  if (info.memory_gbps <= 0) {
    if (const double gbps = memory_gbps_of_board(info); gbps > 0) target.spec.memory_gbps = gbps;
  }
  target.compiler = std::make_unique<DiskCachedNvrtc>(info.fingerprint.driver_version / 1000);
  return target;
}

Target open_emulator() {
  Target target;
  target.name = "emulator";
  target.spec = load_device(data_dir() / "devices", "emulator");
  EmulatorOptions options;
  options.smem_bytes_per_block = target.spec.smem_bytes_per_block;
  target.device = EmulatorDevice::open(std::move(options));
  return target;
}

Target open_described(const std::string& name) {
  Target target;
  target.name = name;
  target.spec = load_device(data_dir() / "devices", name);
  auto compiler = std::make_unique<DiskCachedNvrtc>(std::nullopt);
  if (const std::string why = compiler->why_unsupported(target.spec.arch); !why.empty())
    fail(ErrorKind::missing, "{}: {}", name, why);
  target.compiler = std::move(compiler);
  return target;
}

}  // namespace

Target open_target(const std::string& name) {
  if (const std::optional<int> sms = parse_slice_target(name)) return open_gpu(*sms);
  if (name == "emulator") return open_emulator();
  return open_described(name);
}

}  // namespace duet
