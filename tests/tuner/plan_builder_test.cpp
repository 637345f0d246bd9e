#include "tuner/plan_builder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <map>
#include <numeric>
#include <set>

#include "codegen/step_schedule.h"
#include "tests/tuner/fakes.h"
#include "tests/tuner/small_graphs.h"

namespace duet {
namespace {

// Every group with its first feasible candidate.
Plan build(const Graph& model, const FusionRules& rules, ExecutionMode mode, const SearchSpace& space = small_space(),
           const DeviceSpec& device = test_device()) {
  const auto [graph, groups] = fuse_graph(model, rules, 0);
  const Lowering lowering = lower(graph, groups);
  const StepOrder order =
      mode == ExecutionMode::sequential ? schedule_sequential(lowering) : schedule_streams(lowering);
  FakeCompiler compiler;
  std::vector<ChosenKernel> kernels;
  for (const KernelCandidate& candidate : first_feasible(lowering, space, device)) {
    const KernelSource source = emit(candidate);
    kernels.push_back({.tile = candidate.tile, .source = source, .images = {compiler.compile(source, "sm_87").image}});
  }
  std::vector<int> kernel_of_group(kernels.size());
  std::iota(kernel_of_group.begin(), kernel_of_group.end(), 0);
  return build_plan({.graph = graph,
                     .lowering = lowering,
                     .order = order,
                     .device = device,
                     .kernels = kernels,
                     .kernel_of_group = kernel_of_group,
                     .mode = mode,
                     .provenance = Provenance::predicted,
                     .key = plan_key(model, rules, mode, fingerprint_of(device, "test-orin"))});
}

const PlanStep& step_named(const Plan& plan, std::string_view name) {
  return *std::find_if(plan.steps.begin(), plan.steps.end(), [&](const PlanStep& step) { return step.name == name; });
}

GemmParams product_params(const PlanStep& step) {
  GemmParams params;
  std::memcpy(&params, step.params.data(), sizeof params);
  return params;
}

const BufferRef& target_at(const PlanStep& step, std::size_t param_offset) {
  return std::find_if(step.relocations.begin(), step.relocations.end(),
                      [&](const Relocation& relocation) { return relocation.param_offset == param_offset; })
      ->target;
}

// How a row's sums are cut is the writer's tile's; its readers are told, and there is room for as many.
TEST(PlanBuilder, ReadersOfRowSumsKnowTheirWritersTiles) {
  SearchSpace space = small_space();
  space.ranges["gemm"]["block_n"] = {16};
  const Plan plan = build(tiny_dual(), {}, ExecutionMode::streams, space);
  const PlanStep& writer = step_named(plan, "vision.layers.0.fc2");
  const PlanStep& reader = step_named(plan, "vision.layers.1.qkv");
  const int tiles = (product_params(writer).n + 15) / 16;
  EXPECT_EQ(tiles, 5);  // 72 columns
  EXPECT_EQ(product_params(reader).row_sum_tiles, tiles);
  EXPECT_EQ(target_at(writer, offsetof(GemmParams, row_sums_out)),
            target_at(reader, offsetof(GemmParams, row_sums_in)));
  EXPECT_EQ(product_params(step_named(plan, "vision.layers.0.qkv")).row_sum_tiles, 1);  // of the embedding
}

TEST(PlanBuilder, FusedAndUnfusedPlansAreValid) {
  for (const Dtype precision : {Dtype::f16, Dtype::bf16}) {
    const Graph graph = tiny_dual(precision);
    for (const ExecutionMode mode : {ExecutionMode::sequential, ExecutionMode::streams}) {
      const Plan fused = build(graph, {}, mode), plain = build(graph, FusionRules::none(), mode);
      EXPECT_LT(fused.steps.size(), plain.steps.size());
      EXPECT_EQ(fused.inputs.size(), 2u);
      EXPECT_EQ(fused.outputs.size(), 3u);
      EXPECT_EQ(fused.stream_count, mode == ExecutionMode::streams ? 2 : 1);
      EXPECT_GT(fused.figures.latency_us, fused.figures.floor_us);
      EXPECT_LT(fused.figures.latency_us, plain.figures.latency_us);
    }
  }
}

// Of every product whose operands it can copy, maps of A and B where their pointers point.
TEST(PlanBuilder, TheTensorMemoryAcceleratorGetsMapsOfBothOperands) {
  SearchSpace space = small_space();
  space.ranges["gemm"]["block_k"] = {64};
  space.ranges["gemm"]["loader"] = {kLoaderTma, kLoaderThreads};
  DeviceSpec device = test_device();
  device.arch = "sm_90";
  const Plan plan = build(tiny_dual(), {}, ExecutionMode::streams, space, device);
  int mapped_steps = 0;
  for (const PlanStep& step : plan.steps) {
    std::map<std::uint32_t, Relocation> by_offset;
    for (const Relocation& relocation : step.relocations) by_offset.emplace(relocation.param_offset, relocation);
    const bool tma = plan.kernels[static_cast<std::size_t>(step.kernel)].entry.ends_with("_tma");
    EXPECT_EQ(by_offset.contains(offsetof(GemmParams, map_a)) && by_offset.at(offsetof(GemmParams, map_a)).map, tma);
    if (!tma) continue;
    ++mapped_steps;
    GemmParams params;
    std::memcpy(&params, step.params.data(), sizeof params);
    const Relocation& a = by_offset.at(offsetof(GemmParams, map_a));
    const Relocation& b = by_offset.at(offsetof(GemmParams, map_b));
    EXPECT_EQ(a.target, by_offset.at(offsetof(GemmParams, a)).target);
    EXPECT_EQ(b.target, by_offset.at(offsetof(GemmParams, b)).target);
    EXPECT_EQ(*a.map, (TensorMapSpec{.rows = params.m, .columns = params.k, .ld = params.lda, .box_rows = 16}));
    EXPECT_EQ(*b.map, (TensorMapSpec{.rows = params.n, .columns = params.k, .ld = params.ldb, .box_rows = 16}));
  }
  EXPECT_GT(mapped_steps, 8);
}

TEST(PlanBuilder, StreamsArePredictedNoSlowerThanOneStream) {
  const Graph graph = tiny_dual();
  EXPECT_LE(build(graph, {}, ExecutionMode::streams).figures.latency_us,
            build(graph, {}, ExecutionMode::sequential).figures.latency_us);
}

TEST(PlanBuilder, InputsKnowTheirLimits) {
  const Plan plan = build(tiny_dual(), {}, ExecutionMode::sequential);
  for (const PlanTensor& input : plan.inputs) EXPECT_EQ(input.value_limit, input.dtype == Dtype::i32 ? 211 : 0);
}

TEST(PlanBuilder, EqualRecipesShareOneWeight) {
  const Plan plan = build(tiny_dual(), FusionRules::none(), ExecutionMode::sequential);
  std::set<std::uint64_t> offsets;
  for (const PlanWeight& weight : plan.weights) EXPECT_TRUE(offsets.insert(weight.offset_bytes).second);
  for (std::size_t i = 0; i < plan.weights.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      WeightRecipe a = plan.weights[i].recipe, b = plan.weights[j].recipe;
      a.name = b.name = "";
      EXPECT_FALSE(a == b) << plan.weights[i].recipe.name;
    }
  }
}

TEST(PlanBuilder, StepsCarryTheirCosts) {
  for (const PlanStep& step : build(tiny_dual(), {}, ExecutionMode::streams).steps) {
    EXPECT_GT(step.predicted_us, step.floor_us) << step.name;
    EXPECT_GT(step.bytes, 0) << step.name;
    EXPECT_FALSE(step.tower.empty());
  }
}

TEST(PlanVariant, NamesRulesAndMode) {
  EXPECT_EQ(plan_variant({}, ExecutionMode::streams), "fused-streams");
  EXPECT_EQ(plan_variant(FusionRules::none(), ExecutionMode::sequential), "baseline");
  EXPECT_EQ(plan_variant(FusionRules::none(), ExecutionMode::streams), "unfused-streams");
  FusionRules rules;
  rules.qkv = false;
  EXPECT_EQ(plan_variant(rules, ExecutionMode::sequential), "fused-without-qkv-sequential");
}

TEST(KernelProblem, EveryGroupStandsAlone) {
  const Graph graph = tiny_dual();
  for (const FusionRules& rules : {FusionRules{}, FusionRules::none()}) {
    const Lowering lowering = lower_fused(graph, rules);
    for (const LoweredGroup& group : lowering.groups) {
      const KernelProblem problem = make_kernel_problem(graph, group);
      for (const KernelCandidate& candidate :
           enumerate_candidates(problem.group().spec, small_space(), test_device())) {
        if (!candidate.infeasible.empty()) continue;
        make_kernel_plan(problem, test_device(), {.tile = candidate.tile, .source = emit(candidate), .images = {}});
        break;
      }
    }
  }
}

}  // namespace
}  // namespace duet
