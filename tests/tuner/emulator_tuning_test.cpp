// Tunes a whole model on the emulator: every kernel of the plan is executed and compared with the reference.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iostream>

#include "base/error.h"
#include "codegen/shorten_text.h"
#include "emulator/emulator_device.h"
#include "runtime/engine.h"
#include "tests/support/temp_dir.h"
#include "tests/tuner/fakes.h"
#include "tests/tuner/small_graphs.h"
#include "tuner/synthetic_inputs.h"
#include "tuner/tuning_session.h"
#include "tuner/verifier.h"

namespace duet {
namespace {

class EmulatorTuning : public testing::Test {
 protected:
  EmulatorTuning() : store_(PlanStore::open(folder_ / "plans.db", PlanStore::Mode::tune)) {}
  void SetUp() override {
    try {
      device_ = EmulatorDevice::open();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::missing) throw;
      GTEST_SKIP() << error.what();
    }
  }
  TuneRequest request(Dtype precision) const {
    TuneRequest request;
    request.graph = tiny_dual(precision);
    request.target = "emulator";
    request.device = test_device();
    request.space = small_space();
    request.max_candidates_per_kernel = 1;
    return request;
  }
  TuneReport tune(const TuneRequest& request) { return TuningSession(device_.get(), nullptr, store_).tune(request); }

  TempDir folder_;
  PlanStore store_;
  std::unique_ptr<EmulatorDevice> device_;
};

// One logit is what is left of a sum of terms that are much larger: with some inputs almost nothing.
TEST_F(EmulatorTuning, ALogitNearZeroIsNoWrongResult) {
  const Graph graph = tiny_dual(Dtype::f16, 1);
  const Lowering lowering = lower_fused(graph);
  const auto group = std::find_if(lowering.groups.begin(), lowering.groups.end(), [](const LoweredGroup& one) {
    return std::holds_alternative<SimilaritySpec>(one.spec);
  });
  const KernelProblem problem = make_kernel_problem(graph, *group);
  const KernelCandidate candidate = enumerate_candidates(problem.group().spec, small_space(), test_device()).front();
  const Plan plan =
      make_kernel_plan(problem, test_device(), {.tile = candidate.tile, .source = emit(candidate), .images = {}});
  double worst = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    const Verification result = KernelVerifier(problem, seed).verify(*device_, plan);
    EXPECT_EQ(result.status, VerificationStatus::ok) << "seed " << seed << ": " << result.detail;
    worst = std::max(worst, result.norm_error);
  }
  EXPECT_GT(worst, kernel_tolerance(problem.group().spec, Dtype::f32).norm) << "no seed came near zero";
}

TEST_F(EmulatorTuning, ThePlanOfTinyDualIsRight) {
  const TuneReport report = tune(request(Dtype::f16));
  EXPECT_EQ(report.plan.provenance, Provenance::emulated);
  EXPECT_EQ(report.failed, 0);
  EXPECT_EQ(store_.find(report.plan.key).kind, MatchKind::exact);
  const TuneReport again = tune(request(Dtype::f16));
  EXPECT_EQ(again.verified, 0) << "verified candidates are known";
}

TEST_F(EmulatorTuning, TheBaselineOfTinyDualIsRight) {
  const TuneReport report = tune(baseline_of(request(Dtype::f16)));
  EXPECT_EQ(report.plan.key.variant, "baseline");
  EXPECT_EQ(report.failed, 0);
}

TEST_F(EmulatorTuning, Bfloat16IsRightToo) {
  const TuneReport report = tune(request(Dtype::bf16));
  EXPECT_EQ(report.plan.key.precision, Dtype::bf16);
  EXPECT_EQ(report.failed, 0);
}

// Tiles by the tensor memory accelerator, and warpgroup products, which take row sums only as they are given.
TEST_F(EmulatorTuning, PlansForTheHardwareOfHopperAreRight) {
  TuneRequest hopper = request(Dtype::f16);
  hopper.device.arch = "sm_90";
  hopper.device.sm_count = 1;  // where rows are long enough for their sums to be left
  hopper.rules.patches = false;
  for (const int loader : {kLoaderTma, kLoaderWgmma, kLoaderWgmmaTransposed}) {
    const bool transposed = loader == kLoaderWgmmaTransposed;
    hopper.space.ranges["gemm"] = {{"block_m", {64}},   {"block_n", {64}},
                                   {"block_k", {64}},   {"warps_m", {transposed ? 1 : 4}},
                                   {"stages", {2}},     {"warps_n", {transposed ? 4 : 1}},
                                   {"loader", {loader}}};
    const TuneReport report = tune(hopper);
    EXPECT_EQ(report.failed, 0);
    int products = 0;
    for (const PlanStep& step : report.plan.steps) products += step.relocations.back().map ? 1 : 0;
    EXPECT_GE(products, 8) << "whose operands are mapped";
  }
}

TEST_F(EmulatorTuning, APartitionedPlanIsRight) {
  TuneRequest parts = request(Dtype::f16);
  parts.mode = ExecutionMode::partition;
  parts.device.sm_count = 8;
  const TuneReport report = tune(parts);
  EXPECT_EQ(report.failed, 0);
  ASSERT_EQ(report.plan.streams.size(), 3u);
  EXPECT_EQ(report.plan.streams[1].sms + report.plan.streams[2].sms, 8);
}

// Texts of 2 to 5 tokens, what follows their end being of no account.
HostTensor short_texts() {
  const std::vector<std::int32_t> ids{7, 210, 3, 9, 210, 8, 8, 8, 8, 8, 8, 8, 8,  //
                                      1, 2,   3, 5, 210, 0, 0, 0, 0, 0, 0, 0, 0};
  return HostTensor::from_ints({2, 13}, ids);
}

HostTensor first_tokens(const HostTensor& ids, std::int64_t tokens) {
  std::vector<std::int32_t> cut;
  for (std::int64_t row = 0; row < ids.shape[0]; ++row)
    for (std::int64_t i = 0; i < tokens; ++i)
      cut.push_back(ids.ints()[static_cast<std::size_t>(row * ids.shape[1] + i)]);
  return HostTensor::from_ints({ids.shape[0], tokens}, cut);
}

TEST_F(EmulatorTuning, APlanForShorterTextsHasTheResultsOfTheWhole) {
  TuneRequest whole = request(Dtype::f16);
  const RandomWeights weights = synthetic_weights(whole.graph, 1);
  auto inputs = synthetic_inputs(whole.graph, 1);
  const auto outputs_of = [&](const Plan& plan, const HostTensor& ids) {
    Engine engine(*device_, plan, weights);
    inputs["input_ids"] = ids;
    for (const auto& [name, tensor] : inputs) engine.set_input(name, tensor);
    engine.run();
    return std::pair(engine.output("text_embeds"), engine.output("logits_per_image"));
  };
  const auto [expected, expected_logits] = outputs_of(tune(whole).plan, short_texts());
  for (const int tokens : {5, 8}) {
    TuneRequest cut = whole;
    cut.graph = shorten_text(whole.graph, tokens);
    cut.text_length = tokens;
    const Plan plan = tune(cut).plan;
    EXPECT_EQ(plan.key.variant, fmt::format("fused-streams-text{}", tokens));
    const auto [got, logits] = outputs_of(plan, first_tokens(short_texts(), tokens));
    const auto a = got.floats(), b = expected.floats();
    ASSERT_EQ(got.shape, expected.shape);
    const std::size_t width = static_cast<std::size_t>(got.shape[1]);
    float largest = 0;
    for (std::size_t row = 0; row < a.size(); row += width) {
      double cosine = 0;
      for (std::size_t i = row; i < row + width; ++i) {
        cosine += double(a[i]) * b[i];
        largest = std::max(largest, std::abs(a[i] - b[i]));
      }
      EXPECT_GT(cosine, 0.9999) << tokens << " tokens, text " << row / width;
    }
    std::cout << tokens << " tokens: largest difference " << largest << "\n";
    EXPECT_LT(largest, 2e-3f);
    for (std::size_t i = 0; i < logits.floats().size(); ++i)
      EXPECT_NEAR(logits.floats()[i], expected_logits.floats()[i], 0.05f);
  }
}

}  // namespace
}  // namespace duet
