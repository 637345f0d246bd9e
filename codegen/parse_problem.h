// From the text of a problem back to its spec, so that what was recorded of it can be predicted again.
//
//   const KernelSpec spec = parse_problem("gemm f16 m=50 n=2304 k=768 layer_norm bias");
#pragma once

#include <string_view>

#include "codegen/kernel_spec.h"

namespace duet {

// Reads what problem_text writes, also with '_' for its spaces, as the names of recorded spaces have them. Strides,
// which the text leaves out, are those of packed rows padded to 8 elements. Throws Error(input) naming the text and the
// word at which it stops making sense, or a size outside 1 to 2^24.
KernelSpec parse_problem(std::string_view text);

}  // namespace duet
