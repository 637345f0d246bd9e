// Which stream each kernel runs on, and what it waits for: found from the dependencies alone.
#pragma once

#include "codegen/lower.h"
#include "codegen/memory_plan.h"

namespace duet {

// One stream, the groups' order.
StepOrder schedule_sequential(const Lowering& lowering);
// One stream per tower; joint groups run on the first stream after waiting for the others. Waits implied by
// others are left out.
StepOrder schedule_streams(const Lowering& lowering);
// The same with a stream, the first, for joint groups alone: where towers have SMs of their own, these may use all.
StepOrder schedule_partition(const Lowering& lowering);

}  // namespace duet
