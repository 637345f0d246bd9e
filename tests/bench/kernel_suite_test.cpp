// The kernels of a plan one by one, on a fake device that says 10 us for every replay.
#include "bench/kernel_suite.h"

#include <gtest/gtest.h>

#include <numeric>

#include "codegen/step_schedule.h"
#include "tests/support/fake_device.h"
#include "tests/tuner/fakes.h"
#include "tests/tuner/small_graphs.h"

namespace duet {
namespace {

class KernelSuiteTest : public testing::Test {
 protected:
  KernelSuiteTest() { device_.mutable_info().can_measure = true; }

  // The first feasible candidate for every group.
  Plan plan_of(const Graph& graph, const FusionRules& rules, ExecutionMode mode) {
    const FusedGraph fused = fuse_graph(graph, rules, test_device().sm_count);
    const Lowering lowering = lower(fused.graph, fused.groups);
    std::vector<ChosenKernel> kernels;
    for (const KernelCandidate& candidate : first_feasible(lowering, small_space(), test_device())) {
      const KernelSource source = emit(candidate);
      kernels.push_back({candidate.tile, source, {compiler_.compile(source, "sm_87").image}, 20.0});
    }
    std::vector<int> kernel_of_group(lowering.groups.size());
    std::iota(kernel_of_group.begin(), kernel_of_group.end(), 0);
    const StepOrder order = schedule_streams(lowering);
    return build_plan({.graph = fused.graph,
                       .lowering = lowering,
                       .order = order,
                       .device = test_device(),
                       .kernels = kernels,
                       .kernel_of_group = kernel_of_group,
                       .mode = mode,
                       .provenance = Provenance::measured,
                       .key = plan_key(graph, rules, mode, fingerprint_of(test_device(), "fake"))});
  }

  FakeDevice device_;
  FakeCompiler compiler_;
  DeviceSpec spec_ = test_device();
};

TEST_F(KernelSuiteTest, TimesEqualKernelsOnceAndCountsThem) {
  const Graph graph = tiny_dual();
  const Plan plan = plan_of(graph, {}, ExecutionMode::streams);
  KernelSuite suite(device_, spec_, &compiler_, 1);
  const std::vector<KernelFigures> kernels = suite.time_kernels(graph, plan);
  int launches = 0, products = 0;
  bool found_projections = false;
  for (const KernelFigures& kernel : kernels) {
    EXPECT_EQ(kernel.failure, "") << kernel.problem;
    EXPECT_GT(kernel.measured_us, 0) << kernel.problem;
    EXPECT_EQ(kernel.stored_us, 20);
    EXPECT_GT(kernel.floor_us, 0) << kernel.problem;
    launches += kernel.count;
    products += kernel.product ? kernel.count : 0;
    if (kernel.problem.find(" m=26 n=120 k=40 ") != std::string::npos) {
      found_projections = true;
      EXPECT_EQ(kernel.product, (ProductSize{.m = 26, .n = 120, .k = 40})) << "text: packed projections of 40";
      EXPECT_EQ(kernel.count, 2);
      EXPECT_NEAR(kernel.tflops() * kernel.measured_us * 1e6, kernel.flops, 1);
    }
  }
  EXPECT_EQ(launches, static_cast<int>(plan.steps.size()));
  EXPECT_TRUE(found_projections);
  EXPECT_GE(products, 16);
  EXPECT_LT(kernels.size(), plan.steps.size());
}

TEST_F(KernelSuiteTest, FollowsTheRulesOfThePlansVariant) {
  const Graph graph = tiny_dual();
  FusionRules rules;
  rules.qkv = false;
  KernelSuite suite(device_, spec_, &compiler_, 1);
  for (const FusionRules& used : {rules, FusionRules::none()}) {
    const Plan plan = plan_of(graph, used, ExecutionMode::streams);
    EXPECT_FALSE(suite.time_kernels(graph, plan).empty()) << plan.key.variant;
  }
  Plan other = plan_of(graph, rules, ExecutionMode::streams);
  other.key.variant = "fused-streams";
  EXPECT_THROW(suite.time_kernels(graph, other), Error);
}

TEST_F(KernelSuiteTest, AKernelThatFailsKeepsItsReason) {
  const Graph graph = tiny_dual();
  Plan plan = plan_of(graph, {}, ExecutionMode::streams);
  plan.kernels[0].config_text = "block_q=1";
  compiler_.fails = [&](const KernelSource& source) { return source.entry == plan.kernels[1].entry; };
  KernelSuite suite(device_, spec_, &compiler_, 1);
  const std::vector<KernelFigures> kernels = suite.time_kernels(graph, plan);
  int failed = 0;
  for (const KernelFigures& kernel : kernels) {
    failed += kernel.failure.empty() ? 0 : 1;
    EXPECT_EQ(kernel.measured_us > 0, kernel.failure.empty()) << kernel.problem;
  }
  EXPECT_GE(failed, 2);
}

TEST_F(KernelSuiteTest, CeilingsAreWorkOverTime) {
  SearchSpace space = small_space();
  space.ranges["gemm"]["block_m"] = space.ranges["gemm"]["block_n"] = {32};
  space.ranges["gemm"]["stages"] = space.ranges["gemm"]["warps_m"] = space.ranges["gemm"]["warps_n"] = {2};
  space.ranges["pointwise"]["threads"] = {128};
  KernelSuite suite(device_, spec_, &compiler_, 1);
  const Ceilings ceilings = suite.measure_ceilings(space, Dtype::f16);
  EXPECT_GT(ceilings.gbps, 0);
  EXPECT_GT(ceilings.tflops, 0);
  EXPECT_NE(ceilings.tflops_kernel.find("gemm"), std::string::npos);
  EXPECT_NE(ceilings.gbps_kernel.find("pointwise"), std::string::npos);
}

}  // namespace
}  // namespace duet
