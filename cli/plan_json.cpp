#include "cli/plan_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "runtime/plan_memory.h"

namespace duet {
namespace {

nlohmann::json key_json(const PlanKey& key) {
  const DeviceFingerprint& d = key.device;
  return {{"model", key.model},
          {"graph_hash", key.graph_hash},
          {"batch", key.batch},
          {"precision", dtype_name(key.precision)},
          {"variant", key.variant},
          {"device",
           {{"target", d.target},
            {"module", d.module},
            {"arch", d.arch},
            {"sm_count", d.sm_count},
            {"sm_clock_mhz", d.sm_clock_mhz},
            {"memory_clock_mhz", d.memory_clock_mhz},
            {"l2_bytes", d.l2_bytes},
            {"power_mode", d.power_mode},
            {"driver_version", d.driver_version}}}};
}

nlohmann::json kernel_json(const PlanKernel& kernel) {
  nlohmann::json images = nlohmann::json::array();
  for (const KernelImage& image : kernel.images) {
    images.push_back({{"arch", image.arch},
                      {"compiler", image.compiler},
                      {"bytes", image.bytes.size()},
                      {"registers", image.registers},
                      {"spill_bytes", image.spill_bytes}});
  }
  return {{"entry", kernel.entry},     {"family", kernel.family},         {"config", kernel.config_text},
          {"threads", kernel.threads}, {"smem_bytes", kernel.smem_bytes}, {"images", images}};
}

nlohmann::json step_json(const Plan& plan, const PlanStep& step) {
  return {{"name", step.name},
          {"tower", step.tower},
          {"kernel", kernel_of(plan, step).entry},
          {"grid", {step.grid.x, step.grid.y, step.grid.z}},
          {"stream", step.stream},
          {"waits", step.waits},
          {"flops", step.flops},
          {"bytes", step.bytes},
          {"floor_us", step.floor_us},
          {"predicted_us", step.predicted_us},
          {"measured_us", step.measured_us}};
}

nlohmann::json stream_shares_json(const Plan& plan) {
  nlohmann::json list = nlohmann::json::array();
  for (const StreamShare& share : plan.streams) list.push_back({{"priority", share.priority}, {"sms", share.sms}});
  return list;
}

}  // namespace

nlohmann::json plan_json(const Plan& plan) {
  const PlanFigures& f = plan.figures;
  nlohmann::json out{{"key", key_json(plan.key)},
                     {"provenance", provenance_name(plan.provenance)},
                     {"mode", execution_mode_name(plan.mode)},
                     {"streams", plan.stream_count},
                     {"stream_shares", stream_shares_json(plan)},
                     {"step_count", plan.steps.size()},
                     {"arena_bytes", plan.arena_bytes},
                     {"weight_bytes", plan.weight_bytes},
                     {"memory_bytes", plan_memory_bytes(plan)},
                     {"latency_us", f.latency_us},
                     {"latency_us_samples", f.latency_us_samples},
                     {"floor_us", f.floor_us},
                     {"baseline_latency_us", f.baseline_latency_us},
                     {"baseline_steps", f.baseline_steps},
                     {"energy_mj", f.energy_mj},
                     {"objective", f.objective},
                     {"environment", f.environment},
                     {"commit", f.commit}};
  for (const PlanKernel& kernel : plan.kernels) out["kernels"].push_back(kernel_json(kernel));
  for (const PlanStep& step : plan.steps) out["steps"].push_back(step_json(plan, step));
  return out;
}

nlohmann::json summary_json(const PlanSummary& s) {
  return {{"id", s.id},          {"key", key_json(s.key)},     {"provenance", provenance_name(s.provenance)},
          {"steps", s.steps},    {"latency_us", s.latency_us}, {"preferred", s.preferred},
          {"created", s.created}};
}

}  // namespace duet
