#include "tuner/measure.h"

#include <gtest/gtest.h>

#include "tests/tuner/adding_device.h"
#include "tuner/synthetic_inputs.h"

namespace duet {
namespace {

TEST(Measure, SamplesUntilTheMedianIsKnown) {
  int calls = 0;
  const Measurement steady = sample_until(
      [&](int count) {
        ++calls;
        return std::vector<double>(static_cast<std::size_t>(count), 5.0);
      },
      {}, 0);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(steady.median_us, 5);
  EXPECT_FALSE(steady.abandoned);

  int turn = 0;
  const Measurement noisy = sample_until(
      [&](int count) {
        std::vector<double> samples;
        for (int i = 0; i < count; ++i) samples.push_back(++turn % 2 == 0 ? 5.0 : 9.0);
        return samples;
      },
      {.rule = {.min_samples = 10, .max_samples = 50, .max_uncertainty = 0.01, .budget_us = 0}}, 0);
  EXPECT_EQ(noisy.samples_us.size(), 50u);
}

TEST(Measure, ASlowCandidateIsGivenUpAfterOneRound) {
  const auto take = [](int count) { return std::vector<double>(static_cast<std::size_t>(count), 13.0); };
  const Measurement slow = sample_until(take, {}, 10);
  EXPECT_TRUE(slow.abandoned);
  EXPECT_EQ(slow.samples_us.size(), 10u);
  EXPECT_FALSE(sample_until(take, {}, 12).abandoned);
}

// A tenth slower, surely: it needs no more samples to be out, where one that may be near gets them.
TEST(Measure, ACandidateThatCannotComeNearIsGivenUp) {
  const auto steady = [](int count) { return std::vector<double>(static_cast<std::size_t>(count), 11.5); };
  EXPECT_TRUE(sample_until(steady, {}, 10).abandoned);
  int turn = 0;
  const auto noisy = [&](int count) {
    std::vector<double> samples;
    for (int i = 0; i < count; ++i) samples.push_back(++turn % 2 == 0 ? 9.5 : 13.0);
    return samples;
  };
  const Measurement unsure = sample_until(noisy, {.rule = {.min_samples = 10, .max_samples = 50, .budget_us = 0}}, 10);
  EXPECT_FALSE(unsure.abandoned);
  EXPECT_EQ(unsure.samples_us.size(), 50u);
}

TEST(Measure, ADeviceWithoutTimesGivesNone) {
  const Measurement none = sample_until([](int) { return std::vector<double>(); }, {}, 0);
  EXPECT_TRUE(none.samples_us.empty());
  EXPECT_EQ(none.median_us, 0);
}

TEST(Measure, CopiesExceedTwiceTheCache) {
  EXPECT_EQ(copies_beyond_cache(0, 4 << 20, 64), 1);
  EXPECT_EQ(copies_beyond_cache(1 << 20, 4 << 20, 64), 9);
  EXPECT_EQ(copies_beyond_cache(100 << 20, 4 << 20, 64), 1);
  EXPECT_EQ(copies_beyond_cache(16, 4 << 20, 64), 64);
}

TEST(Measure, TimesAChainAndGivesItsMemoryBack) {
  AddingDevice device;
  device.mutable_info().can_measure = true;
  const Graph graph = add_graph();
  const KernelProblem problem = make_kernel_problem(graph, lower_fused(graph).groups.front());
  const KernelCandidate candidate = enumerate_candidates(problem.group().spec, small_space(), test_device()).front();
  FakeCompiler compiler;
  const KernelSource source = emit(candidate);
  const Plan plan =
      make_kernel_plan(problem, test_device(),
                       {.tile = candidate.tile, .source = source, .images = {compiler.compile(source, "sm_87").image}});
  const auto inputs = synthetic_inputs(problem.graph, 1);
  const RandomWeights weights = synthetic_weights(problem.graph, 1);
  DeviceMeasurer measurer(device, "fake 1.0", {.chain_us = 100});
  const Measurement result =
      measurer.measure({.plan = plan, .inputs = inputs, .weights = weights, .expected_us = 5, .best_us = 0});
  EXPECT_EQ(device.captured.size(), 20u);
  EXPECT_DOUBLE_EQ(result.median_us, 10.0 / 20);  // the fake says 10 us a replay
  EXPECT_NE(result.environment.find("fake 1.0"), std::string::npos);
  EXPECT_EQ(device.live_allocations(), 0u);
  EXPECT_EQ(device.live_kernels, 0);
}

}  // namespace
}  // namespace duet
