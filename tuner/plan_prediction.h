// Floor and predicted latency of a whole plan, from its steps' costs and their order.
#pragma once

#include <span>
#include <string>

#include "codegen/device_spec.h"
#include "codegen/memory_plan.h"

namespace duet {

struct StepCost {
  double predicted_us = 0;  // alone, launch included
  double launch_us = 0;
  double floor_us = 0;
  double bytes = 0;
  double flops = 0;
  double sm_share = 1;  // of the device's block slots that it fills
};

struct PlanPrediction {
  double latency_us = 0;
  double floor_us = 0;
  // What latency_us is the largest of.
  double path_us = 0;     // the longest chain of streams and waits, each step as if alone
  double memory_us = 0;   // all bytes at the bandwidth reached in practice
  double compute_us = 0;  // all operations at the peak
  double area_us = 0;     // steps side by side fill the SMs: sum of (predicted - launch) * share of the SMs
};

// One stream: the sum of the steps, and the sum of their floors.
// Several: steps are placed in order, each after its stream's last and those it waits for (list scheduling); streams
// share one memory and one set of SMs, so that latency is the largest of path, memory, compute and area. The floor is
// the largest of the longest chain of floors, all bytes at the full bandwidth and all operations at the peak.
PlanPrediction predict_plan(std::span<const StepCost> steps, const StepOrder& order, const DeviceSpec& device);

std::string describe(const PlanPrediction& prediction);

}  // namespace duet
