// Which of a store's plans to run on a device.
#pragma once

#include <span>
#include <string_view>

#include "runtime/plan_store.h"

namespace duet {

struct PlanRequest {
  int batch = 0;                  // 0: the smallest there is for the nearest device
  std::string_view variant = {};  // empty: any that takes texts of every length (text_length.h)
};

// The nearest (plan_rank.h) of the plans of the requested batch and variant. Throws Error(missing), naming what there
// is, when none fits the request.
const PlanSummary& choose_plan(std::span<const PlanSummary> plans, const DeviceFingerprint& device,
                               const PlanRequest& request);

}  // namespace duet
