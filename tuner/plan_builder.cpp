#include "tuner/plan_builder.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <utility>

#include "base/error.h"
#include "runtime/text_length.h"
#include "tuner/cost_model.h"
#include "tuner/plan_prediction.h"
#include "tuner/sm_shares.h"
#include "tuner/synthetic_inputs.h"

namespace duet {
namespace {

constexpr std::uint64_t kAlignment = 256;

std::uint64_t align(std::uint64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }
template <typename T>
const T& at(const std::vector<T>& items, int index) {
  return items.at(static_cast<std::size_t>(index));
}

std::int64_t rows_of(const Shape& shape) {
  std::int64_t rows = 1;
  for (std::size_t i = 0; i + 1 < shape.size(); ++i) rows *= shape[i];
  return rows;
}

// The buffers that callers see, and their index among the plan's inputs or outputs.
struct PublicBuffers {
  std::map<int, int> inputs, outputs;  // by buffer
};

PublicBuffers public_buffers(const Graph& graph, const Lowering& lowering) {
  PublicBuffers buffers;
  for (ValueId input : graph.inputs) {
    const int buffer = at(lowering.layouts, input).buffer;
    if (buffer != kNone) buffers.inputs.emplace(buffer, static_cast<int>(buffers.inputs.size()));
  }
  for (ValueId output : graph.outputs) {
    const int buffer = at(lowering.layouts, output).buffer;
    if (buffer != kNone) buffers.outputs.emplace(buffer, static_cast<int>(buffers.outputs.size()));
  }
  return buffers;
}

PlanTensor plan_input(const Graph& graph, const Lowering& lowering, ValueId id) {
  const Value& value = at(graph.values, id);
  return {.name = value.name,
          .dtype = value.type.dtype,
          .shape = value.type.shape,
          .ld = at(lowering.layouts, id).ld,
          .value_limit = input_value_limit(graph, id)};
}

// Row sums have a tile of columns for each that their writer's grid has.
int row_sum_tiles(const LoweredGroup& writer, const KernelTile& tile) {
  const auto* product = std::get_if<GemmSpec>(&writer.spec);
  return product == nullptr ? 1 : ceil_div(product->params.n, std::get<GemmTile>(tile).block_n);
}

// A buffer of one output has that output's name and shape. One shared by several has the buffer's name and all its
// columns.
PlanTensor plan_output(const Graph& graph, const Lowering& lowering, int buffer, const std::vector<ValueId>& values) {
  const ValueId first = values.front();
  const Value& value = at(graph.values, first);
  const ValueLayout& layout = at(lowering.layouts, first);
  PlanTensor tensor{
      .name = value.name, .dtype = value.type.dtype, .shape = value.type.shape, .ld = layout.ld, .value_limit = 0};
  if (values.size() == 1 && layout.column_offset == 0) return tensor;
  tensor.name = at(lowering.buffers, buffer).name;
  tensor.shape = {rows_of(value.type.shape), layout.ld};
  return tensor;
}

std::vector<PlanTensor> plan_outputs(const Graph& graph, const Lowering& lowering, const PublicBuffers& buffers) {
  std::vector<PlanTensor> outputs(buffers.outputs.size());
  for (const auto& [buffer, index] : buffers.outputs) {
    std::vector<ValueId> values;
    for (ValueId output : graph.outputs)
      if (at(lowering.layouts, output).buffer == buffer) values.push_back(output);
    outputs[static_cast<std::size_t>(index)] = plan_output(graph, lowering, buffer, values);
  }
  return outputs;
}

// Weights of the whole plan; equal recipes (but for the name) are made once.
class WeightLayout {
 public:
  BufferRef place(const WeightRecipe& recipe) {
    WeightRecipe nameless = recipe;
    nameless.name.clear();
    for (std::size_t i = 0; i < nameless_.size(); ++i)
      if (nameless_[i] == nameless) return {.space = BufferSpace::weights, .index = 0, .offset_bytes = offset_of(i)};
    nameless_.push_back(std::move(nameless));
    weights_.push_back({.recipe = recipe, .offset_bytes = bytes_});
    bytes_ = align(bytes_ + static_cast<std::uint64_t>(recipe.result_bytes()));
    return {.space = BufferSpace::weights, .index = 0, .offset_bytes = weights_.back().offset_bytes};
  }
  std::vector<PlanWeight> take() { return std::move(weights_); }
  std::uint64_t bytes() const { return bytes_; }

 private:
  std::uint64_t offset_of(std::size_t index) const { return weights_[index].offset_bytes; }
  std::vector<WeightRecipe> nameless_;
  std::vector<PlanWeight> weights_;
  std::uint64_t bytes_ = 0;
};

class Builder {
 public:
  explicit Builder(const PlanParts& parts) : parts_(parts), public_(public_buffers(parts.graph, parts.lowering)) {}

  Plan build() {
    check_parts();
    find_row_sum_tiles();
    make_candidates();
    place_arena();
    plan_.key = parts_.key;
    plan_.provenance = parts_.provenance;
    plan_.mode = parts_.mode;
    plan_.stream_count = std::max(parts_.order.stream_count, 1);
    plan_.streams = parts_.streams;
    for (ValueId input : parts_.graph.inputs)
      if (layout(input).buffer != kNone) plan_.inputs.push_back(plan_input(parts_.graph, parts_.lowering, input));
    plan_.outputs = plan_outputs(parts_.graph, parts_.lowering, public_);
    for (const auto& [value, tiles] : row_sum_tiles_)
      if (const auto found = public_.outputs.find(layout(value).buffer); found != public_.outputs.end())
        plan_.outputs[static_cast<std::size_t>(found->second)].shape.front() = tiles;
    for (std::size_t i = 0; i < groups().size(); ++i) add_step(i);
    plan_.weights = weights_.take();
    plan_.weight_bytes = weights_.bytes();
    plan_.counter_bytes = counter_bytes_;
    predict_figures();
    validate_plan(plan_);
    return std::move(plan_);
  }

 private:
  const std::vector<LoweredGroup>& groups() const { return parts_.lowering.groups; }
  const ValueLayout& layout(ValueId value) const { return at(parts_.lowering.layouts, value); }
  const ChosenKernel& kernel_of(std::size_t group) const {
    return at(parts_.kernels, parts_.kernel_of_group.at(group));
  }

  // What a group runs on.
  DeviceSpec device_of(std::size_t group) const {
    const int sms = parts_.streams.empty() ? 0 : at(parts_.streams, parts_.order.stream[group]).sms;
    return sms > 0 ? sm_share_of(parts_.device, sms) : parts_.device;
  }

  void check_parts() const {
    const std::size_t count = groups().size();
    if (parts_.kernel_of_group.size() != count || parts_.order.stream.size() != count ||
        parts_.order.waits.size() != count)
      fail(ErrorKind::internal, "plan of '{}': {} groups, {} kernels chosen, {} steps ordered", parts_.graph.name,
           count, parts_.kernel_of_group.size(), parts_.order.stream.size());
  }

  void find_row_sum_tiles() {
    for (std::size_t i = 0; i < groups().size(); ++i)
      for (const Operand& operand : groups()[i].operands)
        if (operand.kind == OperandKind::value && operand.written && is_row_sums(parts_.graph, operand.value))
          row_sum_tiles_[operand.value] = row_sum_tiles(groups()[i], kernel_of(i).tile);
  }

  // What a group computes, with as many tiles of row sums as their writer leaves. Row sums that no group of this plan
  // writes keep the number that their shape has.
  KernelSpec spec_of(const LoweredGroup& group) const {
    KernelSpec spec = group.spec;
    auto* product = std::get_if<GemmSpec>(&spec);
    if (product == nullptr || !product->op.reads_row_sums) return spec;
    for (const Operand& operand : group.operands) {
      if (operand.kind != OperandKind::value) continue;
      const auto found = row_sum_tiles_.find(operand.value);
      if (found != row_sum_tiles_.end() && !operand.written) product->params.row_sum_tiles = found->second;
    }
    return spec;
  }

  // Groups that share a kernel differ in strides, so that each has its own parameter block.
  void make_candidates() {
    for (std::size_t i = 0; i < groups().size(); ++i) {
      candidates_.push_back(make_candidate(spec_of(groups()[i]), kernel_of(i).tile, device_of(i)));
      if (!candidates_.back().infeasible.empty())
        fail(ErrorKind::internal, "kernel '{}' for {}: {}", kernel_of(i).source.entry, groups()[i].group.name,
             candidates_.back().infeasible);
    }
  }

  // Of the buffer that a value lies in.
  std::int64_t value_bytes(ValueId value) const {
    const int buffer = layout(value).buffer;
    if (buffer == kNone) return 0;
    const std::int64_t bytes = at(parts_.lowering.buffers, buffer).bytes;
    const auto tiles = row_sum_tiles_.find(value);
    return tiles == row_sum_tiles_.end() ? bytes
                                         : bytes / at(parts_.graph.values, value).type.shape.front() * tiles->second;
  }

  bool in_arena(int buffer) const { return !public_.inputs.contains(buffer) && !public_.outputs.contains(buffer); }

  void place_arena() {
    std::vector<ArenaRequest> requests;
    std::map<int, std::size_t> request_of_buffer;
    for (std::size_t step = 0; step < groups().size(); ++step) {
      std::map<int, std::int64_t> touched;
      for (const Operand& operand : groups()[step].operands)
        if (operand.kind == OperandKind::value)
          touched.emplace(layout(operand.value).buffer, value_bytes(operand.value));
      for (const auto& [buffer, bytes] : touched) {
        if (buffer == kNone || !in_arena(buffer)) continue;
        const auto [found, inserted] = request_of_buffer.emplace(buffer, requests.size());
        if (inserted) requests.push_back({.bytes = bytes, .steps = {}});
        requests[found->second].steps.push_back(static_cast<int>(step));
      }
    }
    const std::size_t buffers = requests.size();
    for (std::size_t step = 0; step < groups().size(); ++step)
      requests.push_back({.bytes = candidates_[step].workspace_bytes, .steps = {static_cast<int>(step)}});
    const ArenaPlan arena = plan_arena(requests, parts_.order);
    for (const auto& [buffer, request] : request_of_buffer)
      buffer_offset_[buffer] = static_cast<std::uint64_t>(arena.offsets.at(request));
    for (std::size_t step = 0; step < groups().size(); ++step)
      workspace_offset_.push_back(static_cast<std::uint64_t>(arena.offsets.at(buffers + step)));
    plan_.arena_bytes = static_cast<std::uint64_t>(arena.bytes);
  }

  BufferRef value_ref(ValueId value) const {
    const ValueLayout& place = layout(value);
    const auto offset = static_cast<std::uint64_t>(place.column_offset) *
                        static_cast<std::uint64_t>(dtype_bytes(at(parts_.graph.values, value).type.dtype));
    if (const auto found = public_.outputs.find(place.buffer); found != public_.outputs.end())
      return {.space = BufferSpace::output, .index = found->second, .offset_bytes = offset};
    if (const auto found = public_.inputs.find(place.buffer); found != public_.inputs.end())
      return {.space = BufferSpace::input, .index = found->second, .offset_bytes = offset};
    const auto found = buffer_offset_.find(place.buffer);
    if (found == buffer_offset_.end())
      fail(ErrorKind::internal, "value '{}' has no buffer", at(parts_.graph.values, value).name);
    return {.space = BufferSpace::arena, .index = 0, .offset_bytes = found->second + offset};
  }

  BufferRef operand_ref(const Operand& operand, std::size_t step) {
    const KernelCandidate& candidate = candidates_[step];
    switch (operand.kind) {
      case OperandKind::value:
        return value_ref(operand.value);
      case OperandKind::weight:
        return weights_.place(operand.recipe);
      case OperandKind::workspace:
        if (candidate.workspace_bytes == 0) return {};
        return {.space = BufferSpace::arena, .index = 0, .offset_bytes = workspace_offset_[step]};
      case OperandKind::counters:
        if (candidate.counter_count == 0) return {};
        const std::uint64_t offset = counter_bytes_;
        counter_bytes_ = align(counter_bytes_ + static_cast<std::uint64_t>(candidate.counter_count) * sizeof(u32));
        return {.space = BufferSpace::counters, .index = 0, .offset_bytes = offset};
    }
    fail(ErrorKind::internal, "operand of an unknown kind");
  }

  // Groups that chose the same source share one kernel of the plan.
  int plan_kernel(std::size_t step) {
    const ChosenKernel& chosen = kernel_of(step);
    for (std::size_t i = 0; i < plan_.kernels.size(); ++i)
      if (plan_.kernels[i].entry == chosen.source.entry && plan_.kernels[i].source == chosen.source.text)
        return static_cast<int>(i);
    plan_.kernels.push_back({.entry = chosen.source.entry,
                             .family = std::string(family_name(groups()[step].spec)),
                             .config_text = config_text(chosen.tile),
                             .source = chosen.source.text,
                             .threads = candidates_[step].threads,
                             .smem_bytes = candidates_[step].smem_bytes,
                             .programmatic_launch = true,
                             .images = chosen.images});
    return static_cast<int>(plan_.kernels.size()) - 1;
  }

  void add_step(std::size_t index) {
    const LoweredGroup& group = groups()[index];
    const KernelCandidate& candidate = candidates_[index];
    PlanStep step;
    step.kernel = plan_kernel(index);
    step.name = group.group.name;
    step.tower = group.group.tower;
    step.grid = {.x = candidate.grid.x, .y = candidate.grid.y, .z = candidate.grid.z};
    step.params = param_block(candidate);
    for (const Operand& operand : group.operands) {
      const BufferRef target = operand_ref(operand, index);
      if (target.space != BufferSpace::none)
        step.relocations.push_back({.param_offset = operand.param_offset, .target = target});
    }
    add_tensor_maps(step, candidate);
    step.stream = parts_.order.stream[index];
    step.waits = parts_.order.waits[index];
    step.flops = group.flops;
    step.bytes = group.bytes;
    step.measured_us = kernel_of(index).measured_us;
    add_prediction(step, index);
    plan_.steps.push_back(std::move(step));
  }

  // The operands that the tensor memory accelerator copies, where their pointers point.
  static void add_tensor_maps(PlanStep& step, const KernelCandidate& candidate) {
    const auto* spec = std::get_if<GemmSpec>(&candidate.spec);
    const auto* tile = std::get_if<GemmTile>(&candidate.tile);
    if (spec == nullptr || tile == nullptr || !brings_whole_tiles(tile->loader)) return;
    const GemmParams& p = spec->params;
    const auto add = [&](std::size_t pointer, std::size_t map, const TensorMapSpec& matrix) {
      for (std::size_t i = 0; i < step.relocations.size(); ++i) {
        if (step.relocations[i].param_offset != pointer) continue;
        const BufferRef target = step.relocations[i].target;
        step.relocations.push_back({.param_offset = static_cast<std::uint32_t>(map), .target = target, .map = matrix});
        return;
      }
      fail(ErrorKind::internal, "step {}: an operand of a product has no pointer", step.name);
    };
    add(offsetof(GemmParams, a), offsetof(GemmParams, map_a),
        {.rows = p.m, .columns = p.k, .ld = p.lda, .box_rows = tile->block_m});
    add(offsetof(GemmParams, b), offsetof(GemmParams, map_b),
        {.rows = p.n, .columns = p.k, .ld = p.ldb, .box_rows = tile->block_n});
  }

  void add_prediction(PlanStep& step, std::size_t index) {
    const ChosenKernel& chosen = kernel_of(index);
    const int registers = chosen.images.empty() ? 0 : chosen.images.front().registers;
    const DeviceSpec device = device_of(index);
    const CostBreakdown cost =
        predict(candidates_[index], {.flops = step.flops, .bytes = step.bytes}, device, registers);
    step.predicted_us = cost.total_us;
    step.floor_us = cost.floor_us;
    costs_.push_back({.predicted_us = cost.total_us,
                      .launch_us = cost.launch_us,
                      .floor_us = cost.floor_us,
                      .bytes = step.bytes,
                      .flops = step.flops,
                      .sm_share = cost.sm_share * device.sm_count / std::max(parts_.device.sm_count, 1)});
  }

  void predict_figures() {
    const PlanPrediction prediction = predict_plan(costs_, parts_.order, parts_.device);
    plan_.figures.latency_us = prediction.latency_us;
    plan_.figures.floor_us = prediction.floor_us;
  }

  const PlanParts& parts_;
  const PublicBuffers public_;
  Plan plan_;
  std::vector<KernelCandidate> candidates_;
  std::map<ValueId, int> row_sum_tiles_;  // of the values that are row sums and written here
  std::map<int, std::uint64_t> buffer_offset_;
  std::vector<std::uint64_t> workspace_offset_;  // by step
  WeightLayout weights_;
  std::uint64_t counter_bytes_ = 0;
  std::vector<StepCost> costs_;
};

}  // namespace

std::vector<OutputSlice> output_slices(const Graph& graph, const Lowering& lowering) {
  const PublicBuffers buffers = public_buffers(graph, lowering);
  std::vector<OutputSlice> slices;
  for (ValueId output : graph.outputs) {
    const ValueLayout& layout = at(lowering.layouts, output);
    const auto found = buffers.outputs.find(layout.buffer);
    if (found == buffers.outputs.end())
      fail(ErrorKind::internal, "output '{}' has no buffer", at(graph.values, output).name);
    slices.push_back({.value = output, .output = found->second, .column_offset = layout.column_offset});
  }
  return slices;
}

bool same_kernel(const ChosenKernel& a, const ChosenKernel& b) { return a.source.entry == b.source.entry; }

bool same_kernels(const std::vector<ChosenKernel>& a, const std::vector<ChosenKernel>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), same_kernel);
}

Plan build_plan(const PlanParts& parts) { return Builder(parts).build(); }

std::string plan_variant(const FusionRules& rules, ExecutionMode mode) {
  if (rules == FusionRules::none()) {
    if (mode == ExecutionMode::sequential) return "baseline";
    return fmt::format("unfused-{}", execution_mode_name(mode));
  }
  std::string text = "fused";
  for (std::string_view name : fusion_rule_names()) {
    FusionRules enabled = rules;
    set_fusion_rule(enabled, name, true);
    if (!(enabled == rules)) text += fmt::format("-without-{}", name);
  }
  return fmt::format("{}-{}", text, execution_mode_name(mode));
}

PlanKey plan_key(const Graph& graph, const FusionRules& rules, ExecutionMode mode, DeviceFingerprint device,
                 int text_length) {
  return {.model = graph.name,
          .graph_hash = graph_hash(graph),
          .batch = graph.batch,
          .precision = graph.precision,
          .variant = plan_variant(rules, mode) + text_length_suffix(text_length),
          .device = std::move(device)};
}

DeviceFingerprint fingerprint_of(const DeviceSpec& spec, const std::string& target) {
  DeviceFingerprint fingerprint;
  fingerprint.target = target;
  fingerprint.module = spec.module;
  fingerprint.arch = spec.arch;
  fingerprint.sm_count = spec.sm_count;
  fingerprint.sm_clock_mhz = spec.sm_clock_mhz;
  fingerprint.l2_bytes = spec.l2_bytes;
  fingerprint.power_mode = spec.power_mode;
  return fingerprint;
}

}  // namespace duet
