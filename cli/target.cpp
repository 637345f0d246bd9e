#include "cli/target.h"

#include <fmt/format.h>

#include "base/error.h"
#include "cli/data_files.h"
#include "emulator/emulator_device.h"
#include "runtime/cuda/cuda_device.h"
#include "runtime/cuda/slice_name.h"
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

 private:
  NvrtcCompiler nvrtc_;
  CachedCompiler cached_;
};

Target open_gpu(int sms) {
  Target target;
  target.name = slice_target(sms);
  target.device = CudaDevice::open(0, sms);
  const DeviceInfo& info = target.device->info();
  target.spec = live_device_spec(info);
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

}  // namespace

Target open_target(const std::string& name) {
  if (const std::optional<int> sms = parse_slice_target(name)) return open_gpu(*sms);
  if (name == "emulator") return open_emulator();
  Target target;
  target.name = name;
  target.spec = load_device(data_dir() / "devices", name);
  target.compiler = std::make_unique<DiskCachedNvrtc>(std::nullopt);
  return target;
}

}  // namespace duet
