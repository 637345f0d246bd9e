// The least a problem moves and computes, from its spec alone: for problems that are known by their text, without the
// graph they come from (LoweredGroup counts the same from the graph).
#pragma once

#include "codegen/kernel_spec.h"
#include "tuner/cost_model.h"

namespace duet {

// Operands, weights and results once, in bytes; operations of products, reductions and activations.
KernelTraffic kernel_traffic(const KernelSpec& spec);

}  // namespace duet
