// Asking for the next product's weights early: while one kernel waits for its operands and its predecessors, memory is
// idle, so each matrix product of a tower brings the weights of the one after it into L2 (GemmParams::next_weights).
#pragma once

#include <cstdint>

#include "runtime/plan.h"

namespace duet {

// A quarter of the device's L2: what is asked for must still be there when its kernel comes.
std::int64_t weight_prefetch_limit(const DeviceFingerprint& device);

// Links every product of a plan that has no such links yet to the weights of the next one on its stream; the last of a
// stream stays as it is. At most `limit_bytes` of each are asked for, so that a small L2 is not flushed by what comes
// later.
void add_weight_prefetch(Plan& plan, std::int64_t limit_bytes);

// A chain of launches of one product, each link with its own copy of the weights, prefetches those of the next link:
// the relocation that says so refers to the same weights, and is_weight_prefetch() tells it from the others.
void add_own_weight_prefetch(PlanStep& step, const PlanKernel& kernel, std::int64_t limit_bytes);
bool is_weight_prefetch(const PlanKernel& kernel, const Relocation& relocation);

}  // namespace duet
