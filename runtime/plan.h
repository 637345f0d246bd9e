// A plan: everything needed to run a model on a device, as plain values. No pointer, no handle, no hidden behaviour.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/tensor.h"
#include "base/weight_recipe.h"

namespace duet {

// What a plan's figures rest on. Shown wherever the plan is shown.
enum class Provenance : int { predicted = 0, emulated = 1, measured = 2 };
std::string_view provenance_name(Provenance provenance);

// How the towers share the device: one after the other, on a stream each, with a step of each in one launch, or on SMs
// of their own.
enum class ExecutionMode : int { sequential = 0, streams = 1, paired = 2, partition = 3 };
inline constexpr std::array kExecutionModes = {ExecutionMode::sequential, ExecutionMode::streams, ExecutionMode::paired,
                                               ExecutionMode::partition};
std::string_view execution_mode_name(ExecutionMode mode);

// The device a plan was made for, and under which a lookup finds it.
struct DeviceFingerprint {
  std::string target{};  // "auto", "emulator", "jetson-orin-nx-16gb"
  std::string module{};  // "NVIDIA H100 80GB HBM3", "Jetson Orin NX 16GB", "emulator"
  std::string arch{};    // "sm_90"; "host" for the emulator
  int sm_count = 0;
  int sm_clock_mhz = 0;  // the maximum in this mode
  int memory_clock_mhz = 0;
  std::int64_t l2_bytes = 0;
  std::string power_mode{};
  int driver_version = 0;  // as cuDriverGetVersion gives it; 0 without a driver

  bool operator==(const DeviceFingerprint&) const = default;
};

struct PlanKey {
  std::string model{};       // the graph's name
  std::string graph_hash{};  // of the graph's canonical text
  int batch = 1;
  Dtype precision = Dtype::f16;
  std::string variant{};  // "fused-streams", "baseline": the rules and mode asked for
  DeviceFingerprint device{};

  bool operator==(const PlanKey&) const = default;
};

// A compiled kernel for one architecture.
struct KernelImage {
  std::string arch{};      // "sm_87"; "host" is a shared object of the emulator and is not stored
  int cuda_major = 0;      // of the compiler
  std::string compiler{};  // "NVRTC 13.0"
  std::string hash{};      // of `bytes`
  std::vector<std::byte> bytes{};
  int registers = 0;
  int spill_bytes = 0;
  int static_smem_bytes = 0;

  bool operator==(const KernelImage&) const = default;
};

struct PlanKernel {
  std::string entry{};        // extern "C" name, unique within the plan
  std::string family{};       // "gemm", "attention", ...
  std::string config_text{};  // "block 64x64x32, warps 2x2, stages 3, split-K 1"
  std::string source{};       // the generated stub
  int threads = 0;
  int smem_bytes = 0;
  // The kernel waits for its predecessor itself, so that on sm_90 and up it may be launched before that has ended.
  bool programmatic_launch = false;
  std::vector<KernelImage> images{};

  bool operator==(const PlanKernel&) const = default;
};
// A thread's, by the first image; 0 when that is not known.
int registers_of(const PlanKernel& kernel);

// Where a kernel's pointer argument points.
enum class BufferSpace : int {
  none = 0,      // a null pointer
  arena = 1,     // activations and scratch, reused by lifetime
  weights = 2,   // results of the weight recipes
  counters = 3,  // zero when the plan is loaded and after every kernel
  input = 4,     // index into Plan::inputs
  output = 5,    // index into Plan::outputs
};
struct BufferRef {
  BufferSpace space = BufferSpace::none;
  int index = 0;  // for input and output
  std::uint64_t offset_bytes = 0;

  bool operator==(const BufferRef&) const = default;
};

// A matrix of 16-bit elements as the tensor memory accelerator copies it: boxes of `box_rows` rows by 64 columns.
struct TensorMapSpec {
  int rows = 0, columns = 0;
  int ld = 0;  // elements between rows
  int box_rows = 0;

  bool operator==(const TensorMapSpec&) const = default;
};
inline constexpr std::size_t kTensorMapBytes = 128;

// What is written into the parameter block at `param_offset` when a plan is loaded: the device address of `target`
// (8 bytes), or with `map` the tensor map of the matrix there (128 bytes, aligned to 64).
struct Relocation {
  std::uint32_t param_offset = 0;
  BufferRef target{};
  std::optional<TensorMapSpec> map{};

  bool operator==(const Relocation&) const = default;
};

struct GridSize {
  int x = 1, y = 1, z = 1;
  int blocks() const { return x * y * z; }
  bool operator==(const GridSize&) const = default;
};

// What a stream is given of the device.
struct StreamShare {
  int priority = 0;  // 1: where SMs run short, its kernels go before those of streams with 0
  int sms = 0;       // that its kernels have to themselves; 0: all of them, shared with the other streams

  bool operator==(const StreamShare&) const = default;
};

struct PlanStep {
  int kernel = 0;       // index into Plan::kernels
  std::string name{};   // "text.layers.0.qkv"
  std::string tower{};  // "vision", "text"; "joint" after they meet
  GridSize grid{};
  std::vector<std::byte> params{};  // the kernel's parameter struct
  std::vector<Relocation> relocations{};
  int stream = 0;
  std::vector<int> waits{};  // earlier steps, on other streams, that must have finished
  // Costs, for reports.
  double flops = 0;
  double bytes = 0;  // least traffic: every operand once
  double predicted_us = 0;
  double floor_us = 0;
  double measured_us = 0;  // alone, weights cold; 0 when not measured

  bool operator==(const PlanStep&) const = default;
};

struct PlanWeight {
  WeightRecipe recipe{};
  std::uint64_t offset_bytes = 0;  // in the weight space, 256-byte aligned

  bool operator==(const PlanWeight&) const = default;
};

// An input or output as callers see it. On the device, rows of the last dimension are `ld` elements apart.
struct PlanTensor {
  std::string name{};
  Dtype dtype = Dtype::f32;
  Shape shape{};
  std::int64_t ld = 0;
  std::int64_t value_limit = 0;  // integer inputs: values must lie in [0, value_limit); 0 = unchecked

  std::int64_t device_bytes() const;
  bool operator==(const PlanTensor&) const = default;
};

struct PlanFigures {
  std::vector<double> latency_us_samples{};  // whole plan, one replay each; empty when not measured
  double latency_us = 0;                     // median of the samples, or the prediction
  double floor_us = 0;
  double baseline_latency_us = 0;  // unfused, sequential, same provenance; 0 when unknown
  int baseline_steps = 0;
  double energy_mj = 0;       // of a run, back to back with others; 0: not measured
  std::string objective{};    // what it was chosen for: "least energy, latency <= 400 us"; empty: least latency
  std::string environment{};  // device, driver, clocks, power mode, temperature, compiler, date
  std::string commit{};       // of Duet

  bool operator==(const PlanFigures&) const = default;
};

// Which candidate a problem was given, and what it was chosen over. For reports: running a plan does not need it.
struct KernelChoice {
  std::string device{};        // fingerprint text, under which the problem's candidates are recorded
  std::string problem{};       // "gemm f16 m=50 n=2304 k=768 layer_norm bias"
  std::string config{};        // of the candidate chosen
  std::string source_hash{};   // with `config`, its row among the candidates
  std::vector<int> steps{};    // that pose the problem: indices into Plan::steps
  std::string alone_config{};  // of the fastest by itself; another than `config` where the whole plan decided so
  double alone_plan_us = 0;    // the whole plan with that one, when it was this problem's turn; 0: not compared
  double chosen_plan_us = 0;   // and with the one chosen

  bool operator==(const KernelChoice&) const = default;
};

struct Plan {
  PlanKey key{};
  Provenance provenance = Provenance::predicted;
  ExecutionMode mode = ExecutionMode::sequential;
  int stream_count = 1;
  std::vector<StreamShare> streams{};  // by stream; empty: equal and shared
  std::vector<PlanKernel> kernels{};
  std::vector<PlanStep> steps{};  // in the order of launch, which respects every dependency
  std::vector<PlanWeight> weights{};
  std::vector<PlanTensor> inputs{}, outputs{};
  std::uint64_t arena_bytes = 0, weight_bytes = 0, counter_bytes = 0;
  PlanFigures figures{};
  std::vector<KernelChoice> choices{};  // by problem; empty in plans made before they were recorded

  bool operator==(const Plan&) const = default;
};

// What one of its steps launches.
inline const PlanKernel& kernel_of(const Plan& plan, const PlanStep& step) {
  return plan.kernels[static_cast<std::size_t>(step.kernel)];
}
inline PlanKernel& kernel_of(Plan& plan, const PlanStep& step) {
  return plan.kernels[static_cast<std::size_t>(step.kernel)];
}
// The share of one of its streams.
StreamShare stream_share(const Plan& plan, int stream);
// "vision first, priority for text", "by turns, 88 SMs for vision, 44 SMs for text"; empty for one stream.
std::string describe_streams(const Plan& plan);
// Checks a plan that comes from outside: indices, orders, sizes, alignment, every reference inside its space.
// Throws Error(input) naming the plan's part and value.
void validate_plan(const Plan& plan);
// A readable table of the plan: provenance, kernels per tower, registers, spills, times.
std::string describe_plan(const Plan& plan);

}  // namespace duet
