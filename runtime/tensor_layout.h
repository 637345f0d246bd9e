// Between a caller's dense tensors and a plan's padded ones.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/tensor.h"
#include "runtime/plan.h"

namespace duet {

// Device bytes of an input: converted to the plan's dtype, rows `ld` elements apart, zeros between.
// Throws Error(input) naming the input: another shape, integers for floats or the reverse, a value outside
// [0, value_limit) with its position.
std::vector<std::byte> pack_input(const PlanTensor& input, const HostTensor& tensor);

// The dense tensor in device bytes; `bytes` holds output.device_bytes().
HostTensor unpack_output(const PlanTensor& output, std::span<const std::byte> bytes);

}  // namespace duet
