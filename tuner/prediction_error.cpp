#include "tuner/prediction_error.h"

#include <fmt/format.h>

#include "codegen/calibration.h"

namespace duet {

std::optional<PredictionError> prediction_error(const Plan& plan, const DeviceSpec& device) {
  if (device.calibration == nullptr) return std::nullopt;
  PredictionError error{.fitted_arch = device.calibration->arch, .arch = device.arch};
  double all_us = 0, covered_us = 0;
  for (const PlanStep& step : plan.steps) {
    all_us += step.predicted_us;
    const std::string& family = plan.kernels.at(static_cast<std::size_t>(step.kernel)).family;
    const FamilyCalibration* found = device.calibration->find(family);
    if (found == nullptr || found->held_out.candidates == 0) continue;
    covered_us += step.predicted_us;
    error.median += step.predicted_us * found->held_out.median;
    error.p90 += step.predicted_us * found->held_out.p90;
  }
  if (!(covered_us > 0)) return std::nullopt;
  error.median /= covered_us;
  error.p90 /= covered_us;
  error.covered = covered_us / all_us;
  return error;
}

std::string describe(const PredictionError& error) {
  constexpr double kPercent = 100;
  const std::string elsewhere = error.arch == error.fitted_arch ? "" : fmt::format("; {} unmeasured", error.arch);
  return fmt::format("+- {:.0f}% (9 in 10 kernels outside the fit, {}{})", kPercent * error.p90, error.fitted_arch,
                     elsewhere);
}

}  // namespace duet
