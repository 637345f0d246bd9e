// How a plan's towers run beside each other: streams, the order of launch, and priority.
#pragma once

#include "codegen/lower.h"
#include "codegen/memory_plan.h"
#include "runtime/plan.h"

namespace duet {

// Streams and waits of a lowering's groups. For `partition` each of two towers gets a stream behind stream 0, which has
// what is joint; a graph of another number of towers is ordered as for `streams`.
StepOrder order_steps(const Lowering& lowering, ExecutionMode mode);

// What is launched first of two towers: the graph's first, the other, or a step of each in turn. The device starts
// what is ready in the order of launch.
enum class LaunchOrder { graph, reversed, turns };
// The plan with its steps in that order; each stream's own order stays, waits and choices are renumbered.
Plan with_launch_order(const Plan& plan, LaunchOrder order);

// The plan with priority for the steps of one stream, or for none (-1).
Plan with_priority(const Plan& plan, int stream);

}  // namespace duet
