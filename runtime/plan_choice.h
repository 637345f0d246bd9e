// Which of a store's plans to run on a device.
#pragma once

#include <span>
#include <string_view>

#include "runtime/plan_store.h"

namespace duet {

struct PlanRequest {
  int batch = 0;                  // 0: the smallest there is
  std::string_view variant = {};  // empty: any
};

// Among the plans of the requested batch and variant: those for this architecture before any other, the smallest batch,
// then those made for exactly this device, for its module, for its architecture; then the best founded (measured before
// emulated before predicted), then the fastest. Throws Error(missing), naming what there is, when none fits the
// request.
const PlanSummary& choose_plan(std::span<const PlanSummary> plans, const DeviceFingerprint& device,
                               const PlanRequest& request);

}  // namespace duet
