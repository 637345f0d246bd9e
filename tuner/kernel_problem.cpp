#include "tuner/kernel_problem.h"

#include <numeric>

#include "base/error.h"

namespace duet {

KernelProblem make_kernel_problem(const Graph& graph, const LoweredGroup& group) {
  KernelProblem problem{.name = problem_text(group.spec), .graph = extract_group(graph, group.group), .lowering = {}};
  FusedGroup alone{.name = group.group.name,
                   .tower = group.group.tower,
                   .nodes = std::vector<NodeId>(problem.graph.nodes.size()),
                   .inputs = problem.graph.inputs,
                   .outputs = problem.graph.outputs};
  std::iota(alone.nodes.begin(), alone.nodes.end(), 0);
  problem.lowering = lower(problem.graph, {alone});
  const std::string found = problem_text(problem.group().spec);
  if (found != problem.name)
    fail(ErrorKind::internal, "group '{}' alone lowers to '{}' instead of '{}'", group.group.name, found, problem.name);
  return problem;
}

Plan make_kernel_plan(const KernelProblem& problem, const DeviceSpec& device, const ChosenKernel& kernel) {
  const StepOrder order{.stream_count = 1, .stream = {0}, .waits = {{}}};
  return build_plan(
      {.graph = problem.graph,
       .lowering = problem.lowering,
       .order = order,
       .device = device,
       .kernels = {kernel},
       .kernel_of_group = {0},
       .mode = ExecutionMode::sequential,
       .provenance = Provenance::predicted,
       .key = plan_key(problem.graph, {}, ExecutionMode::sequential, fingerprint_of(device, device.name))});
}

}  // namespace duet
