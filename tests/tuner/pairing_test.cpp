#include "tuner/pairing.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <numeric>
#include <set>
#include <string>

#include "codegen/step_schedule.h"
#include "templates/pair_config.h"
#include "tests/tuner/fakes.h"
#include "tests/tuner/small_graphs.h"
#include "tuner/plan_builder.h"

namespace duet {
namespace {

// The tiny model on two streams, every group with its first feasible candidate.
struct TwoTowers {
  DeviceSpec device = test_device();
  std::vector<KernelCandidate> candidates;
  Plan plan;

  TwoTowers() {
    const Graph graph = tiny_dual(Dtype::f16);
    const Lowering lowering = lower_fused(graph, {});
    candidates = first_feasible(lowering, small_space(), device);
    std::vector<ChosenKernel> kernels;
    for (const KernelCandidate& candidate : candidates)
      kernels.push_back({.tile = candidate.tile, .source = emit(candidate), .images = {}});
    std::vector<int> kernel_of_group(kernels.size());
    std::iota(kernel_of_group.begin(), kernel_of_group.end(), 0);
    plan = build_plan({.graph = graph,
                       .lowering = lowering,
                       .order = schedule_streams(lowering),
                       .device = device,
                       .kernels = kernels,
                       .kernel_of_group = kernel_of_group,
                       .mode = ExecutionMode::streams,
                       .provenance = Provenance::predicted,
                       .key = plan_key(graph, {}, ExecutionMode::streams, fingerprint_of(device, "test-orin"))});
  }
  const PlanStep& step(int index) const { return plan.steps[static_cast<std::size_t>(index)]; }
};

std::vector<KernelImage> no_images(const KernelSource&) { return {}; }

TEST(Pairing, EveryStepRunsOnceAndTowersKeepTheirOrder) {
  const TwoTowers two;
  const std::vector<StepPair> pairs = pair_steps(two.plan, two.candidates, two.device);
  std::multiset<int> steps;
  std::map<std::string, int> last;
  for (const StepPair& pair : pairs) {
    for (const int step : {pair.first, pair.second}) {
      if (step < 0) continue;
      steps.insert(step);
      int& before = last.emplace(two.step(step).tower, -1).first->second;
      EXPECT_LT(before, step);
      before = step;
    }
  }
  EXPECT_EQ(steps.size(), two.plan.steps.size());
  EXPECT_EQ(std::set<int>(steps.begin(), steps.end()).size(), two.plan.steps.size());
}

TEST(Pairing, PairsStepsOfOneFamilyAndOfBothTowers) {
  const TwoTowers two;
  int paired = 0;
  for (const StepPair& pair : pair_steps(two.plan, two.candidates, two.device)) {
    if (pair.second < 0) continue;
    ++paired;
    EXPECT_NE(two.step(pair.first).tower, two.step(pair.second).tower);
    EXPECT_EQ(two.candidates[static_cast<std::size_t>(pair.first)].spec.index(),
              two.candidates[static_cast<std::size_t>(pair.second)].spec.index());
  }
  EXPECT_GE(paired, 5);  // at least a layer's
}

TEST(Pairing, AStepThatFitsNoBlockBesideAnotherRunsAlone) {
  TwoTowers two;
  two.device.smem_bytes_per_block = 0;
  for (KernelCandidate& candidate : two.candidates) candidate.smem_bytes = 1;
  for (const StepPair& pair : pair_steps(two.plan, two.candidates, two.device)) EXPECT_EQ(pair.second, -1);
}

// 255 registers a thread and 512 threads a block are each possible, and not together.
TEST(Pairing, StepsThatWouldSpillTogetherRunAlone) {
  TwoTowers two;
  for (std::size_t i = 0; i < two.candidates.size(); ++i) {
    const bool first_tower = two.plan.steps[i].stream == 0;
    two.candidates[i].threads = first_tower ? 512 : 128;
    KernelImage image;
    image.registers = first_tower ? 100 : 250;
    two.plan.kernels[static_cast<std::size_t>(two.plan.steps[i].kernel)].images = {image};
  }
  for (const StepPair& pair : pair_steps(two.plan, two.candidates, two.device))
    if (pair.second >= 0) {
      EXPECT_EQ(two.step(pair.first).kernel, two.step(pair.second).kernel);
    }
}

TEST(Pairing, OneStreamIsLeftAsItIs) {
  TwoTowers two;
  for (PlanStep& step : two.plan.steps) {
    step.stream = 0;
    step.waits.clear();
  }
  const std::vector<StepPair> pairs = pair_steps(two.plan, two.candidates, two.device);
  ASSERT_EQ(pairs.size(), two.plan.steps.size());
  for (std::size_t i = 0; i < pairs.size(); ++i)
    EXPECT_EQ(pairs[i], (StepPair{.first = static_cast<int>(i), .second = -1}));
}

TEST(Pairing, AStepOfTwoHoldsBothGridsParametersAndPointers) {
  const TwoTowers two;
  const std::vector<StepPair> pairs = pair_steps(two.plan, two.candidates, two.device);
  const Plan paired = pair_towers(two.plan, two.candidates, two.device, no_images);
  ASSERT_EQ(paired.steps.size(), pairs.size());
  EXPECT_EQ(paired.stream_count, 1);
  EXPECT_EQ(paired.mode, ExecutionMode::paired);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    if (pairs[i].second < 0) continue;
    const PlanStep &step = paired.steps[i], &a = two.step(pairs[i].first), &b = two.step(pairs[i].second);
    Grid3 grids[2];
    std::memcpy(grids, step.params.data(), sizeof grids);
    EXPECT_EQ(step.grid.x, grids[0].x * grids[0].y * grids[0].z + grids[1].x * grids[1].y * grids[1].z);
    EXPECT_EQ(grids[1].x, b.grid.x);
    const int second = pair_second_offset(static_cast<int>(a.params.size()));
    EXPECT_EQ(std::memcmp(step.params.data() + pair_first_offset(), a.params.data(), a.params.size()), 0);
    EXPECT_EQ(std::memcmp(step.params.data() + second, b.params.data(), b.params.size()), 0);
    ASSERT_EQ(step.relocations.size(), a.relocations.size() + b.relocations.size());
    EXPECT_EQ(step.relocations.back().param_offset,
              b.relocations.back().param_offset + static_cast<std::uint32_t>(second));
    EXPECT_EQ(step.relocations.back().target, b.relocations.back().target);
    EXPECT_EQ(paired.kernels[static_cast<std::size_t>(step.kernel)].family, "pair");
  }
}

TEST(Pairing, StepsWhosePairDoesNotCompileRunAlone) {
  TwoTowers two;
  for (int step = 0; step < static_cast<int>(two.plan.steps.size()); ++step) {
    two.plan.choices.emplace_back();
    two.plan.choices.back().steps = {step};
  }
  std::string refused;
  const Plan paired = pair_towers(two.plan, two.candidates, two.device,
                                  [&](const KernelSource& source) -> std::optional<std::vector<KernelImage>> {
                                    if (refused.empty()) refused = source.text;
                                    if (source.text == refused) return std::nullopt;
                                    return std::vector<KernelImage>{};
                                  });
  const Plan whole = pair_towers(two.plan, two.candidates, two.device, no_images);
  EXPECT_GT(paired.steps.size(), whole.steps.size());
  EXPECT_LT(paired.steps.size(), two.plan.steps.size());
  for (const PlanKernel& kernel : paired.kernels) EXPECT_NE(kernel.source, refused);
  std::multiset<int> launches;
  for (const KernelChoice& choice : paired.choices) launches.insert(choice.steps.begin(), choice.steps.end());
  for (int step = 0; step < static_cast<int>(paired.steps.size()); ++step)
    EXPECT_TRUE(launches.contains(step)) << "launch " << step << " answers no choice";
}

TEST(Pairing, EqualPairsShareAKernel) {
  const TwoTowers two;
  const Plan paired = pair_towers(two.plan, two.candidates, two.device, no_images);
  std::set<std::string> sources;
  for (const PlanKernel& kernel : paired.kernels) EXPECT_TRUE(sources.insert(kernel.source).second) << kernel.entry;
}

}  // namespace
}  // namespace duet
