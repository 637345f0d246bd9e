// Each distinct kernel of a plan timed by itself, beside its floor: where a plan's time goes and what a library could
// do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "codegen/device_spec.h"
#include "codegen/graph.h"
#include "codegen/schedule.h"
#include "runtime/device.h"
#include "runtime/plan.h"
#include "tuner/kernel_compiler.h"
#include "tuner/kernel_problem.h"
#include "tuner/measure.h"

namespace duet {

// C (m, n) = A (m, k) W (n, k)', `batch` of them: what a library's linear layer computes.
struct ProductSize {
  int m = 0, n = 0, k = 0, batch = 1;
  bool operator==(const ProductSize&) const = default;
};

struct KernelFigures {
  std::string problem;  // "gemm f16 m=50 n=2304 k=768 layer_norm bias"
  std::string family, entry, tower;
  std::optional<ProductSize> product;
  int count = 0;           // launches in one run of the plan
  double flops = 0;        // of one launch
  double bytes = 0;        //   least traffic
  double floor_us = 0;     //   by the device's peaks
  double stored_us = 0;    //   as the plan has it; 0: not measured
  double measured_us = 0;  //   now, alone, weights cold; 0 where it could not be measured
  std::string failure;     // why not

  double gbps() const { return measured_us > 0 ? bytes / measured_us / 1e3 : 0; }
  double tflops() const { return measured_us > 0 ? flops / measured_us / 1e6 : 0; }
};

// What the device gives our own kernels on problems without any difficulty: every share is of these.
struct Ceilings {
  double gbps = 0;    // y = a + b over tensors far larger than L2, least traffic over time
  double tflops = 0;  // a product of 8192 x 4096 x 4096, mma.sync with fp32 accumulation
  std::string gbps_kernel, tflops_kernel;
};

// Compiles and times; nothing of it is kept. `compiler` is null where the device compiles for itself.
class KernelSuite {
 public:
  KernelSuite(Device& device, const DeviceSpec& spec, KernelCompiler* compiler, std::uint64_t seed);

  // In the plan's order, equal problems on equal kernels once. A kernel that fails keeps its failure. The kernels are
  // generated anew from the stored tiles by this build. Throws Error(input) when the plan is not of this graph.
  std::vector<KernelFigures> time_kernels(const Graph& graph, const Plan& plan);
  // The fastest of a few candidates of the space, in the cost model's order.
  Ceilings measure_ceilings(const SearchSpace& space, Dtype precision);

 private:
  struct Timed {
    double us = 0;
    std::string entry;
  };
  struct Workload;
  Timed time_tile(const Workload& work, const KernelCandidate& candidate, double expected_us);
  KernelFigures time_kernel(const Graph& graph, const LoweredGroup& group, const PlanStep& step,
                            const PlanKernel& kernel);
  Timed fastest(const Graph& graph, const Graph& small, const SearchSpace& space);

  Device& device_;
  const DeviceSpec& spec_;
  KernelCompiler* compiler_;
  std::uint64_t seed_;
  DeviceMeasurer measurer_;
};

}  // namespace duet
