#include "tuner/live_device_spec.h"

#include <algorithm>

namespace duet {
namespace {

struct OpsPerClock {
  double tensor_fp16;  // dense, fp32 accumulation, per SM
  double fp32;
};

// NVIDIA's architecture white papers (A100, GA10x, AD10x, H100) and, for Thor, its data sheet's peak over SMs and
// clock.
OpsPerClock ops_per_clock(const std::string& arch) {
  if (arch == "sm_80") return {2048, 128};
  if (arch == "sm_86" || arch == "sm_89") return {1024, 256};
  if (arch == "sm_87") return {2048, 256};
  if (arch == "sm_90") return {4096, 256};
  if (arch == "sm_100" || arch == "sm_103" || arch == "sm_110") return {8192, 256};
  return {1024, 256};
}

}  // namespace

DeviceSpec live_device_spec(const DeviceInfo& info) {
  const DeviceFingerprint& f = info.fingerprint;
  const OpsPerClock ops = ops_per_clock(f.arch);
  DeviceSpec spec;
  spec.name = f.target;
  spec.module = f.module;
  spec.power_mode = f.power_mode;
  spec.arch = f.arch;
  spec.sm_count = f.sm_count;
  spec.sm_clock_mhz = f.sm_clock_mhz;
  spec.memory_gbps = info.memory_gbps > 0 ? info.memory_gbps : 100;
  spec.l2_bytes = f.l2_bytes;
  spec.fp16_tflops = f.sm_count * f.sm_clock_mhz * ops.tensor_fp16 * 1e-6;
  spec.fp32_tflops = f.sm_count * f.sm_clock_mhz * ops.fp32 * 1e-6;
  spec.smem_bytes_per_block = info.smem_bytes_per_block;
  spec.smem_bytes_per_sm = info.smem_bytes_per_sm;
  spec.registers_per_sm = info.registers_per_sm;
  spec.threads_per_sm = info.threads_per_sm;
  if (info.blocks_per_sm > 0) spec.blocks_per_sm = info.blocks_per_sm;
  spec.launch_us = 0.9;  // a dependent node of a captured graph; docs/tuning.md
  return spec;
}

}  // namespace duet
