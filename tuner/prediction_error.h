// How far a predicted plan may be off, by what the cost model's calibration was wrong on where it had not been fitted.
#pragma once

#include <optional>
#include <string>

#include "codegen/device_spec.h"
#include "runtime/plan.h"

namespace duet {

struct PredictionError {
  // Of |predicted / measured - 1| over candidates that were left out of a fit: each family's figure, weighted by the
  // time that the plan's steps of that family are predicted to take. A plan's own error is less where its kernels'
  // errors cancel.
  double median = 0, p90 = 0;
  double covered = 0;         // share of the plan's time that is of families with a figure
  std::string fitted_arch{};  // "sm_90"
  std::string arch{};         // the plan's device's; where it differs, its SMs were never measured
};

// None without a calibration, or where no family of the plan has a figure.
std::optional<PredictionError> prediction_error(const Plan& plan, const DeviceSpec& device);

// "+- 34% (9 in 10 kernels outside the fit, sm_90; sm_87 unmeasured)"
std::string describe(const PredictionError& error);

}  // namespace duet
