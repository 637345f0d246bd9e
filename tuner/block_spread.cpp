#include "tuner/block_spread.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <vector>

#include "templates/device/types.h"
#include "tuner/cost_model.h"

namespace duet {
namespace {

constexpr int kSmemUnit = 1024;  // of what a block asks for

// The step before each on its stream; -1: none.
std::vector<int> steps_before(const Plan& plan) {
  std::vector<int> before;
  std::map<int, int> last;  // by stream
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    int& own = last.emplace(plan.steps[i].stream, -1).first->second;
    before.push_back(own);
    own = static_cast<int>(i);
  }
  return before;
}

bool fit_together(const DeviceSpec& device, const PlanKernel& a, const PlanKernel& b) {
  return blocks_per_sm(device, a.threads + b.threads, std::max(registers_of(a), registers_of(b)),
                       a.smem_bytes + b.smem_bytes + kReservedSmemPerBlock) > 0;
}

// With which an SM does not take one block more than its part of the step's.
int least_smem_bytes(const Plan& plan, const PlanStep& step, const DeviceSpec& device) {
  const int own_sms = stream_share(plan, step.stream).sms;
  const int part = ceil_div(step.grid.blocks(), own_sms > 0 ? own_sms : device.sm_count);
  return round_up(device.smem_bytes_per_sm / (part + 1), kSmemUnit);
}

}  // namespace

bool starts_kernels_early(const DeviceSpec& device) { return arch_number(device.arch) >= 90; }

// Again until nothing changes: what has grown may no longer fit beside the step before or behind it. Every change is an
// increase to one of a few sizes.
Plan spread_blocks(Plan plan, const DeviceSpec& device) {
  const std::vector<int> before = steps_before(plan);
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t i = 0; i < plan.steps.size(); ++i) {
      if (before[i] < 0) continue;
      PlanKernel& kernel = kernel_of(plan, plan.steps[i]);
      const int least_bytes = least_smem_bytes(plan, plan.steps[i], device);
      if (kernel.smem_bytes >= least_bytes || least_bytes > device.smem_bytes_per_block) continue;
      const PlanStep& step_before = plan.steps[static_cast<std::size_t>(before[i])];
      if (fit_together(device, kernel_of(plan, step_before), kernel)) continue;
      kernel.smem_bytes = least_bytes;
      changed = true;
    }
  }
  return plan;
}

}  // namespace duet
