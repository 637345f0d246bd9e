#include "runtime/plan_choice.h"

#include <string>
#include <vector>

#include "base/error.h"
#include "runtime/plan_rank.h"
#include "runtime/text_length.h"

namespace duet {
namespace {

// Any variant: of those that take texts of every length.
bool fits(const PlanSummary& plan, const PlanRequest& request) {
  const bool wanted =
      request.variant.empty() ? text_length_of(plan.key.variant) == 0 : plan.key.variant == request.variant;
  return wanted && (request.batch == 0 || plan.key.batch == request.batch);
}

std::string list_plans(std::span<const PlanSummary> plans) {
  std::string text;
  for (const PlanSummary& plan : plans) {
    text += fmt::format("{}batch {} {} ({})", text.empty() ? "" : ", ", plan.key.batch, plan.key.variant,
                        plan.key.device.arch);
  }
  return text.empty() ? "none" : text;
}

// "; the nearest is plan 3: same module, batch 1 instead of 4, power mode 15W instead of 25W"
std::string nearest_text(std::span<const PlanSummary> plans, const DeviceFingerprint& device,
                         const PlanRequest& request) {
  const PlanSummary* nearest = nearest_plan(plans, device, request.batch, [](const PlanSummary&) { return true; });
  if (nearest == nullptr) return "";
  std::vector<std::string> asked;
  if (!request.variant.empty() && nearest->key.variant != request.variant)
    asked.push_back(fmt::format("variant {} instead of {}", nearest->key.variant, request.variant));
  if (request.batch != 0 && nearest->key.batch != request.batch)
    asked.push_back(fmt::format("batch {} instead of {}", nearest->key.batch, request.batch));
  return fmt::format("; the nearest is plan {}: {}", nearest->id,
                     device_differences(nearest->key.device, device, asked));
}

}  // namespace

const PlanSummary& choose_plan(std::span<const PlanSummary> plans, const DeviceFingerprint& device,
                               const PlanRequest& request) {
  const PlanSummary* best =
      nearest_plan(plans, device, request.batch, [&](const PlanSummary& plan) { return fits(plan, request); });
  if (best != nullptr) return *best;
  fail(ErrorKind::missing, "no plan of batch {} and variant '{}'{}; there are: {}",
       request.batch == 0 ? "any" : std::to_string(request.batch), request.variant.empty() ? "any" : request.variant,
       nearest_text(plans, device, request), list_plans(plans));
}

}  // namespace duet
