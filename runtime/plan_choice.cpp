#include "runtime/plan_choice.h"

#include <string>

#include "base/error.h"
#include "runtime/plan_rank.h"

namespace duet {
namespace {

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
  const PlanSummary* best =
      nearest_plan(plans, device, request.batch, [&](const PlanSummary& plan) { return fits(plan, request); });
  if (best != nullptr) return *best;
  fail(ErrorKind::missing, "no plan of batch {} and variant '{}'; there are: {}",
       request.batch == 0 ? "any" : std::to_string(request.batch), request.variant.empty() ? "any" : request.variant,
       list_plans(plans));
}

}  // namespace duet
