// How the SMs are divided between the streams of two towers, and what each tower's kernels are tuned with.
#pragma once

#include <optional>
#include <vector>

#include "codegen/fusion.h"
#include "codegen/lower.h"
#include "codegen/memory_plan.h"
#include "codegen/schedule.h"
#include "runtime/plan.h"
#include "tuner/device_share.h"
#include "tuner/kernel_tuner.h"
#include "tuner/measure.h"
#include "tuner/sm_shares.h"

namespace duet {

struct SmDivision {
  std::vector<int> shares{};  // possible ones of the first tower; empty where SMs are not divided
  int first_share = 0;        // the one that kernels are tuned for; 0 likewise
  int all_sms = 0;

  // As Plan::streams; empty where SMs are not divided.
  std::vector<StreamShare> streams() const { return streams_with(first_share); }
  std::vector<StreamShare> streams_with(int share) const;
  // Whether a plan of this device may have this share; 0: of plans that divide nothing.
  bool has(int share) const;
};

// A graph as it is run: fused, since what pays depends on a tower's SMs, for their division.
struct DividedGraph {
  FusedGraph fused;
  Lowering lowering;
  StepOrder order;  // order_steps
  SmDivision division;
};

// In the mode `partition` divided by the towers' predicted times, each kernel's the best of `space`. `device` may be
// null. Where SMs or graph cannot be divided, no division, and one warning: the plan then runs on plain streams. A
// division's shares are those that fuse alike.
DividedGraph divide_graph(const Device* device, const DeviceSpec& spec, ExecutionMode mode, const Graph& graph,
                          const FusionRules& rules, const SearchSpace& space);

// The tools of a tower that has `sms` SMs to itself: verified and timed there where the device measures.
class PartTools {
 public:
  PartTools(const TunerTools& whole, DeviceFingerprint fingerprint, int sms);
  const TunerTools& tools() const { return tools_; }

 private:
  TunerTools tools_;
  std::optional<DeviceShare> device_;
  std::optional<DeviceMeasurer> measurer_;
};

}  // namespace duet
