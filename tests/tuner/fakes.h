// Stand-ins for the compiler and the measurer, and small graphs for the tuner's tests.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/hash.h"
#include "codegen/graph_yaml.h"
#include "tuner/kernel_compiler.h"
#include "tuner/tuning_session.h"

namespace duet {

// "Compiles" a source into its own text. Knobs decide what fails.
class FakeCompiler : public KernelCompiler {
 public:
  CompileResult compile(const KernelSource& source, const std::string& arch) override {
    if (delay.count() > 0) std::this_thread::sleep_for(delay);
    const std::lock_guard lock(mutex_);
    ++calls;
    entries.insert(source.entry);
    CompileResult result;
    result.ok = !fails(source);
    result.log = result.ok ? "fine" : "error: no";
    if (!result.ok) return result;
    const auto text = std::as_bytes(std::span(source.text.data(), source.text.size()));
    result.image.arch = arch;
    result.image.cuda_major = 13;
    result.image.compiler = version();
    result.image.bytes.assign(text.begin(), text.end());
    result.image.hash = hash_bytes(text);
    result.image.registers = 64;
    result.image.spill_bytes = spills(source);
    return result;
  }
  std::string version() const override { return version_text; }

  std::function<bool(const KernelSource&)> fails = [](const KernelSource&) { return false; };
  std::function<int(const KernelSource&)> spills = [](const KernelSource&) { return 0; };
  std::chrono::milliseconds delay{0};
  std::string version_text = "fake 1.0";
  std::atomic<int> calls{0};
  std::set<std::string> entries;

 private:
  std::mutex mutex_;
};

inline KernelSource make_source(const std::string& entry, const std::string& text = "text") {
  return {.entry = entry, .text = text, .hash = hash_text(text)};
}

// Orin NX 16GB at 25 W, in round figures.
inline DeviceSpec test_device() {
  DeviceSpec device;
  device.name = "test-orin";
  device.module = "Test Orin";
  device.power_mode = "25W";
  device.arch = "sm_87";
  device.sm_count = 8;
  device.sm_clock_mhz = 918;
  device.memory_gbps = 102;
  device.l2_bytes = 4 << 20;
  device.fp16_tflops = 15;
  device.fp32_tflops = 1.88;
  device.smem_bytes_per_block = 163 * 1024;
  device.smem_bytes_per_sm = 164 * 1024;
  return device;
}

}  // namespace duet
