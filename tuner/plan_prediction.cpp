#include "tuner/plan_prediction.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/error.h"

namespace duet {
namespace {

constexpr double kReachableBandwidth = 0.85;  // as in the cost model of one kernel

// The longest chain, `time` being a step's duration.
template <typename Time>
double longest_chain(std::span<const StepCost> steps, const StepOrder& order, Time time) {
  std::vector<double> finish(steps.size(), 0.0);
  std::vector<double> stream_free(static_cast<std::size_t>(std::max(order.stream_count, 1)), 0.0);
  double end = 0;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    double& free = stream_free.at(static_cast<std::size_t>(order.stream[i]));
    double start = free;
    for (int earlier : order.waits[i]) start = std::max(start, finish.at(static_cast<std::size_t>(earlier)));
    free = finish[i] = start + time(steps[i]);
    end = std::max(end, free);
  }
  return end;
}

}  // namespace

PlanPrediction predict_plan(std::span<const StepCost> steps, const StepOrder& order, const DeviceSpec& device) {
  if (order.stream.size() != steps.size() || order.waits.size() != steps.size())
    fail(ErrorKind::internal, "the order has {} steps, the plan {}", order.stream.size(), steps.size());
  double bytes = 0, flops = 0;
  PlanPrediction prediction;
  for (const StepCost& step : steps) {
    bytes += step.bytes;
    flops += step.flops;
    prediction.area_us += std::max(0.0, step.predicted_us - step.launch_us) * std::clamp(step.sm_share, 0.0, 1.0);
  }
  const double bandwidth = std::max(device.memory_gbps, 1e-9) * 1e3;  // bytes per us
  prediction.compute_us = flops / (std::max(device.fp16_tflops, 1e-9) * 1e6);
  prediction.memory_us = bytes / (bandwidth * kReachableBandwidth);
  prediction.path_us = longest_chain(steps, order, [](const StepCost& step) { return step.predicted_us; });
  const double floor_path = longest_chain(steps, order, [](const StepCost& step) { return step.floor_us; });
  prediction.floor_us = std::max({floor_path, bytes / bandwidth, prediction.compute_us});
  prediction.latency_us = prediction.path_us;
  if (order.stream_count > 1)
    prediction.latency_us = std::max(
        {prediction.path_us, prediction.memory_us, prediction.compute_us, prediction.area_us, prediction.floor_us});
  return prediction;
}

std::string describe(const PlanPrediction& prediction) {
  return fmt::format("{:.1f} us (path {:.1f}, memory {:.1f}, compute {:.1f}, SM area {:.1f}); floor {:.1f}",
                     prediction.latency_us, prediction.path_us, prediction.memory_us, prediction.compute_us,
                     prediction.area_us, prediction.floor_us);
}

}  // namespace duet
