#include "tuner/weight_prefetch.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <map>

#include "templates/gemm_config.h"

namespace duet {
namespace {

bool is_product(const PlanKernel& kernel) { return kernel.family == "gemm"; }

struct WeightRange {
  BufferRef begin{};
  std::int64_t bytes = 0;
};

// What a product reads of the weight space as B; no bytes when B is an activation.
WeightRange weights_of(const PlanStep& step) {
  for (const Relocation& relocation : step.relocations) {
    if (relocation.param_offset != offsetof(GemmParams, b) || relocation.target.space != BufferSpace::weights) continue;
    GemmParams params;
    std::memcpy(&params, step.params.data(), sizeof params);
    return {relocation.target, std::int64_t{params.n} * params.ldb * 2};
  }
  return {};
}

void set_prefetch(PlanStep& step, const WeightRange& next, std::int64_t limit_bytes) {
  const i64 bytes = std::min(next.bytes, limit_bytes);
  if (bytes <= 0) return;
  std::memcpy(step.params.data() + offsetof(GemmParams, next_weights_bytes), &bytes, sizeof bytes);
  step.relocations.push_back({.param_offset = offsetof(GemmParams, next_weights), .target = next.begin});
}

}  // namespace

std::int64_t weight_prefetch_limit(const DeviceFingerprint& device) { return device.l2_bytes / 4; }

bool is_weight_prefetch(const PlanKernel& kernel, const Relocation& relocation) {
  return is_product(kernel) && relocation.param_offset == offsetof(GemmParams, next_weights);
}

void add_weight_prefetch(Plan& plan, std::int64_t limit_bytes) {
  std::map<int, PlanStep*> last_of_stream;
  for (PlanStep& step : plan.steps) {
    if (!is_product(kernel_of(plan, step))) continue;
    const WeightRange own = weights_of(step);
    if (own.bytes == 0) continue;
    PlanStep*& before = last_of_stream[step.stream];
    if (before != nullptr) set_prefetch(*before, own, limit_bytes);
    before = &step;
  }
}

void add_own_weight_prefetch(PlanStep& step, const PlanKernel& kernel, std::int64_t limit_bytes) {
  if (is_product(kernel)) set_prefetch(step, weights_of(step), limit_bytes);
}

}  // namespace duet
