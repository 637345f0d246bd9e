// The columns of every stored struct, each list written once: the same list makes the INSERT, the SELECT and the
// digest. `row(column, member)` is called for each; `row` is a RowWriter or a RowReader (store_row.h).
#pragma once

#include "runtime/plan.h"
#include "runtime/plan_store.h"

namespace duet {

constexpr auto kDeviceFields = [](auto& row, auto& device) {
  row("target", device.target);
  row("module", device.module);
  row("arch", device.arch);
  row("sm_count", device.sm_count);
  row("sm_clock_mhz", device.sm_clock_mhz);
  row("memory_clock_mhz", device.memory_clock_mhz);
  row("l2_bytes", device.l2_bytes);
  row("power_mode", device.power_mode);
  row("driver_version", device.driver_version);
};

constexpr auto kGraphFields = [](auto& row, auto& key) {
  row("model", key.model);
  row("hash", key.graph_hash);
};

constexpr auto kPlanKeyFields = [](auto& row, auto& key) {
  row("batch", key.batch);
  row("precision", key.precision);
  row("variant", key.variant);
};

constexpr auto kPlanFields = [](auto& row, auto& plan) {
  row("provenance", plan.provenance);
  row("mode", plan.mode);
  row("stream_count", plan.stream_count);
  row("arena_bytes", plan.arena_bytes);
  row("weight_bytes", plan.weight_bytes);
  row("counter_bytes", plan.counter_bytes);
  row("latency_us", plan.figures.latency_us);
  row("floor_us", plan.figures.floor_us);
  row("baseline_latency_us", plan.figures.baseline_latency_us);
  row("baseline_steps", plan.figures.baseline_steps);
  row("environment", plan.figures.environment);
  row("duet_commit", plan.figures.commit);
};

constexpr auto kStreamFields = [](auto& row, auto& plan) { row("streams", plan.streams); };

constexpr auto kObjectiveFields = [](auto& row, auto& plan) {
  row("energy_mj", plan.figures.energy_mj);
  row("objective", plan.figures.objective);
};

constexpr auto kKernelFields = [](auto& row, auto& kernel) {
  row("entry", kernel.entry);
  row("family", kernel.family);
  row("config", kernel.config_text);
  row("source", kernel.source);
  row("threads", kernel.threads);
  row("smem_bytes", kernel.smem_bytes);
  row("programmatic_launch", kernel.programmatic_launch);
};

constexpr auto kImageFields = [](auto& row, auto& image) {
  row("arch", image.arch);
  row("cuda_major", image.cuda_major);
  row("compiler", image.compiler);
  row("hash", image.hash);
  row("registers", image.registers);
  row("spill_bytes", image.spill_bytes);
  row("static_smem_bytes", image.static_smem_bytes);
  row("bytes", image.bytes);
};

constexpr auto kChoiceFields = [](auto& row, auto& choice) {
  row("device", choice.device);
  row("problem", choice.problem);
  row("config", choice.config);
  row("source_hash", choice.source_hash);
  row("steps", choice.steps);
  row("alone_config", choice.alone_config);
  row("alone_plan_us", choice.alone_plan_us);
  row("chosen_plan_us", choice.chosen_plan_us);
};

constexpr auto kStepFields = [](auto& row, auto& step) {
  row("kernel", step.kernel);
  row("name", step.name);
  row("tower", step.tower);
  row("grid_x", step.grid.x);
  row("grid_y", step.grid.y);
  row("grid_z", step.grid.z);
  row("params", step.params);
  row("relocations", step.relocations);
  row("stream", step.stream);
  row("waits", step.waits);
  row("flops", step.flops);
  row("bytes", step.bytes);
  row("predicted_us", step.predicted_us);
  row("floor_us", step.floor_us);
  row("measured_us", step.measured_us);
};

constexpr auto kWeightFields = [](auto& row, auto& weight) {
  row("offset_bytes", weight.offset_bytes);
  row("recipe", weight.recipe);
};

constexpr auto kTensorFields = [](auto& row, auto& tensor) {
  row("name", tensor.name);
  row("dtype", tensor.dtype);
  row("shape", tensor.shape);
  row("ld", tensor.ld);
  row("value_limit", tensor.value_limit);
};

constexpr auto kCandidateKeyFields = [](auto& row, auto& candidate) {
  row("device", candidate.device);
  row("problem", candidate.problem);
  row("config", candidate.config);
  row("source_hash", candidate.source_hash);
};

constexpr auto kCandidateOutcomeFields = [](auto& row, auto& candidate) {
  row("status", candidate.status);
  row("detail", candidate.detail);
  row("provenance", candidate.provenance);
  row("registers", candidate.registers);
  row("spill_bytes", candidate.spill_bytes);
  row("smem_bytes", candidate.smem_bytes);
  row("max_error", candidate.max_error);
  row("norm_error", candidate.norm_error);
  row("median_us", candidate.median_us);
  row("predicted_us", candidate.predicted_us);
  row("environment", candidate.environment);
  row("attempts", candidate.attempts);
  row("threads", candidate.threads);
  row("blocks_per_sm", candidate.blocks_per_sm);
  row("cost_s", candidate.cost_s);
};

constexpr auto kSessionRequestFields = [](auto& row, auto& session) {
  row("device", session.device);
  row("model", session.model);
  row("variant", session.variant);
  row("settings", session.settings);
  row("duet_commit", session.commit);
};

constexpr auto kSessionOutcomeFields = [](auto& row, auto& session) {
  row("outcome", session.outcome);
  row("candidates", session.candidates);
  row("compiled", session.compiled);
  row("cached", session.cached);
  row("verified", session.verified);
  row("infeasible", session.infeasible);
  row("failed", session.failed);
  row("elapsed_s", session.elapsed_s);
  row("points", session.points);
};

}  // namespace duet
