#include "runtime/plan_choice.h"

#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "base/error.h"

namespace duet {
namespace {

int closeness(const DeviceFingerprint& made_for, const DeviceFingerprint& device) {
  const bool same_module = made_for.module == device.module && made_for.arch == device.arch;
  const bool same_mode = made_for.sm_count == device.sm_count && made_for.sm_clock_mhz == device.sm_clock_mhz &&
                         made_for.power_mode == device.power_mode;
  if (same_module && same_mode) return 3;
  if (same_module) return 2;
  return made_for.arch == device.arch ? 1 : 0;
}

bool fits(const PlanSummary& plan, const PlanRequest& request) {
  return (request.batch == 0 || plan.key.batch == request.batch) &&
         (request.variant.empty() || plan.key.variant == request.variant);
}

std::string list_plans(std::span<const PlanSummary> plans) {
  std::string text;
  for (const PlanSummary& plan : plans) {
    text += fmt::format("{}batch {} {} ({})", text.empty() ? "" : ", ", plan.key.batch, plan.key.variant,
                        plan.key.device.arch);
  }
  return text.empty() ? "none" : text;
}

}  // namespace

const PlanSummary& choose_plan(std::span<const PlanSummary> plans, const DeviceFingerprint& device,
                               const PlanRequest& request) {
  // Smaller is better in every place. A plan for another architecture hardly ever runs: last, whatever its batch.
  const auto rank = [&](const PlanSummary& plan) {
    const int close = closeness(plan.key.device, device);
    return std::make_tuple(close == 0, plan.key.batch, -close, -static_cast<int>(plan.provenance), plan.latency_us);
  };
  const PlanSummary* best = nullptr;
  for (const PlanSummary& plan : plans) {
    if (fits(plan, request) && (best == nullptr || rank(plan) < rank(*best))) best = &plan;
  }
  if (best != nullptr) return *best;
  fail(ErrorKind::missing, "no plan of batch {} and variant '{}'; there are: {}",
       request.batch == 0 ? "any" : std::to_string(request.batch), request.variant.empty() ? "any" : request.variant,
       list_plans(plans));
}

}  // namespace duet
