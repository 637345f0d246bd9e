// One fused group as a problem of its own: its graph, its lowering, and plans that hold this one kernel.
#pragma once

#include <string>

#include "codegen/device_spec.h"
#include "codegen/fusion.h"
#include "codegen/graph.h"
#include "codegen/lower.h"
#include "runtime/plan.h"
#include "tuner/plan_builder.h"

namespace duet {

struct KernelProblem {
  std::string name;  // problem_text: "gemm f16 m=50 n=2304 k=768 layer_norm bias"
  Graph graph;       // the group alone
  Lowering lowering;

  const LoweredGroup& group() const { return lowering.groups.front(); }
};

// Throws Error(internal) when the group alone lowers to another problem than the group in its graph.
KernelProblem make_kernel_problem(const Graph& graph, const LoweredGroup& group);

// A plan of one step. The group's values are its inputs and outputs.
Plan make_kernel_plan(const KernelProblem& problem, const DeviceSpec& device, const ChosenKernel& kernel);

}  // namespace duet
