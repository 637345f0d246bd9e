// From chosen kernels to a plan: arena, weights, counters, relocations and figures.
#pragma once

#include <string>
#include <vector>

#include "codegen/candidate.h"
#include "codegen/device_spec.h"
#include "codegen/emit.h"
#include "codegen/fusion.h"
#include "codegen/graph.h"
#include "codegen/lower.h"
#include "codegen/memory_plan.h"
#include "runtime/plan.h"

namespace duet {

// The winner of one problem.
struct ChosenKernel {
  KernelTile tile;
  KernelSource source;
  std::vector<KernelImage> images;  // may be empty where the device compiles for itself
  double measured_us = 0;           // alone, weights cold; 0 when not measured
};
// Whether two kernels of a problem, or of each problem, are the same: their entries name the tile.
bool same_kernel(const ChosenKernel& a, const ChosenKernel& b);
bool same_kernels(const std::vector<ChosenKernel>& a, const std::vector<ChosenKernel>& b);

struct PlanParts {
  const Graph& graph;
  const Lowering& lowering;
  const StepOrder& order;  // of the groups, in the lowering's order
  const DeviceSpec& device;
  std::vector<ChosenKernel> kernels;
  std::vector<int> kernel_of_group;  // index into kernels
  ExecutionMode mode = ExecutionMode::sequential;
  Provenance provenance = Provenance::predicted;
  PlanKey key;
  std::vector<StreamShare> streams{};  // as Plan::streams; grids and predictions are for a stream's SMs
};

// Where an output of the graph lies in the plan's outputs: columns [column_offset, column_offset + width) of a tensor
// that it may share with its siblings (packed projections of a group taken alone).
struct OutputSlice {
  ValueId value = kNone;
  int output = 0;  // index into Plan::outputs
  std::int64_t column_offset = 0;
};
std::vector<OutputSlice> output_slices(const Graph& graph, const Lowering& lowering);

// The plan, validated (validate_plan). Predicted and floor times come from the cost model; figures.latency_us is the
// prediction. Throws Error(internal) when the parts do not fit together.
Plan build_plan(const PlanParts& parts);

// "fused-streams", "baseline" (no rule, sequential), "fused-without-qkv-sequential", "unfused-streams".
std::string plan_variant(const FusionRules& rules, ExecutionMode mode);
// `text_length`: the tokens of a graph of shorten_text, which its variant names (runtime/text_length.h); 0: all.
PlanKey plan_key(const Graph& graph, const FusionRules& rules, ExecutionMode mode, DeviceFingerprint device,
                 int text_length = 0);
// Of a device that is not here.
DeviceFingerprint fingerprint_of(const DeviceSpec& spec, const std::string& target);

}  // namespace duet
