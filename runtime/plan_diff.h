// In what two plans differ: what they are for, what they run, and the figures of both. Pure.
#pragma once

#include <string>
#include <vector>

#include "runtime/plan.h"

namespace duet {

// One thing that both plans have, as text.
struct PlanProperty {
  std::string name{}, a{}, b{};
  bool equal() const { return a == b; }
};

// Steps that are alike but for their layer: "text.layers.*.qkv".
struct PlanStepGroup {
  std::string name{};
  std::vector<std::string> tiles_a{}, tiles_b{};  // the configurations of their kernels, each once
  int steps_a = 0, steps_b = 0;
  double us_a = 0, us_b = 0;  // of all these steps: measured alone where each was, else predicted
  bool measured_a = false, measured_b = false;
  bool equal() const { return tiles_a == tiles_b && steps_a == steps_b; }
};

struct PlanDiff {
  std::vector<PlanProperty> conditions{};  // model, batch, device, driver, ...: what the plans are for
  std::vector<PlanProperty> schedule{};    // mode, streams, launches, arena, ...: how they run
  std::vector<PlanStepGroup> steps{};
  // The same kernels in the same schedule. Conditions and times do not count: those of two boards never agree.
  bool equal() const;
};

PlanDiff diff_plans(const Plan& a, const Plan& b);

}  // namespace duet
