// Fits the cost model's factors to recorded spaces, family by family.
#pragma once

#include <span>
#include <string_view>

#include "codegen/calibration.h"
#include "tuner/recorded_problems.h"

namespace duet {

// Fitted are spaces of this many candidates or more: fewer have no order to learn, though their times count.
inline constexpr int kLeastFitted = 4;

// The factors that predict the family's recorded times best, by coordinate descent on the factors' logarithms. The loss
// is robust (quadratic up to about 10%, linear beyond) in the logarithm of predicted over measured: within each space
// around the space's mean, which is what the order of candidates depends on, and of that mean with less weight. A small
// penalty on the logarithms keeps at 1 what the spaces say nothing of. Deterministic. Factors of 1 where no folder has
// the family.
CostFactors fit_factors(std::span<const RecordedSpaces* const> folders, std::string_view family);

// Every family that some folder has candidates of. The errors are those of fits that left something out: each device in
// turn where there are several (`held_out` "devices"), else a fifth of the problems in turn ("problems").
// Throws Error(input) when the folders are of several architectures.
Calibration fit_calibration(std::span<const RecordedSpaces> folders);

}  // namespace duet
