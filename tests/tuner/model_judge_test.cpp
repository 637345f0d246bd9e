#include "tuner/model_judge.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/file.h"
#include "codegen/graph_yaml.h"
#include "codegen/lower.h"
#include "codegen/parse_problem.h"
#include "tests/support/error_of.h"
#include "tests/support/temp_dir.h"
#include "tuner/calibration_fit.h"
#include "tuner/kernel_traffic.h"
#include "tuner/prediction_error.h"
#include "tuner/transfer.h"

namespace duet {
namespace {

const std::filesystem::path kSource = DUET_SOURCE_DIR;
const std::string kWhole = "NVIDIA_H100_80GB_HBM3_sm_90_132_SMs_1980_MHz,_700_W,_driver_13000";
const std::string kSlice = "NVIDIA_H100_80GB_HBM3,_16_of_132_SMs_sm_90_16_SMs_1980_MHz,_700_W,_driver_13000";

constexpr const char* kHeader = "warps,block_kv,stages,time_ms,cost_s\n";

// Recorded times that the model itself made with `factors`: what a fit must find again.
std::string table(const DeviceSpec& device, const std::string& problem, const CostFactors& factors) {
  std::string text = kHeader;
  const KernelSpec spec = parse_problem(problem);
  for (const int warps : {1, 2, 4})
    for (const int block_kv : {16, 32, 64, 128})
      for (const int stages : {2, 3}) {
        const AttentionTile tile{.warps = warps, .block_kv = block_kv, .stages = stages};
        const KernelCandidate candidate = make_candidate(spec, tile, device);
        if (!candidate.infeasible.empty()) continue;
        const double us = predict(cost_inputs(candidate, kernel_traffic(spec), device), device, factors).total_us;
        text += fmt::format("{},{},{},{},1\n", warps, block_kv, stages, us / 1000);
      }
  return text;
}

class RecordedFolders : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::string& device, const std::string& problem, const std::string& text) {
    std::filesystem::create_directories(dir_.path() / device);
    publish_file(dir_.path() / device / (problem + ".csv"), text);
    return dir_.path() / device;
  }
  RecordedSpaces read(const std::string& device) {
    return read_recorded_spaces(dir_.path() / device, kSource / "devices");
  }
  std::string refusal(const std::string& device) {
    return error_of(ErrorKind::input, [&] { read(device); });
  }
  // Both devices, several shapes.
  std::vector<RecordedSpaces> with_factors(const CostFactors& factors) {
    for (const std::string& device : {kWhole, kSlice}) {
      const DeviceSpec spec = device_of_folder(device, kSource / "devices");
      for (const std::string shape : {"queries=50_keys=50", "queries=197_keys=197", "queries=577_keys=577"}) {
        const std::string problem = "attention_f16_batch=2_heads=12_" + shape + "_head_dim=64";
        write(device, problem, table(spec, problem, factors));
      }
    }
    return {read(kWhole), read(kSlice)};
  }

  TempDir dir_;
};

CostFactors skewed() {
  CostFactors factors;
  factors.math = 2.5;
  factors.copy = 3;
  factors.latency = 0.6;
  factors.overlap = 1.3;
  return factors;
}

TEST_F(RecordedFolders, TheFoldersNameSaysTheDevice) {
  const DeviceSpec whole = device_of_folder(kWhole, kSource / "devices");
  const DeviceSpec slice = device_of_folder("spaces/" + kSlice + "/", kSource / "devices");
  EXPECT_EQ(whole.sm_count, 132);
  EXPECT_EQ(slice.sm_count, 16);
  EXPECT_EQ(slice.sm_clock_mhz, 1980);
  EXPECT_NEAR(slice.fp16_tflops * 132, whole.fp16_tflops * 16, 1e-6);
  const auto refused = [](const std::string& name) {
    return error_of(ErrorKind::input, [&] { device_of_folder(name, kSource / "devices"); });
  };
  EXPECT_NE(refused("spaces").find("the folder's name says no device"), std::string::npos);
  EXPECT_NE(refused("NVIDIA_A100_sm_80_108_SMs_1410_MHz").find("describes this module"), std::string::npos);
}

TEST_F(RecordedFolders, ARowIsItsCandidate) {
  write(kWhole, "attention_f16_batch=1_heads=12_queries=50_keys=50_head_dim=64",
        std::string(kHeader) + "4,64,2,0.002,1\n2,32,2,,1\n17,32,2,0.5,1\n");
  const RecordedSpaces spaces = read(kWhole);
  ASSERT_EQ(spaces.skipped.size(), 1u);
  EXPECT_NE(spaces.skipped[0].find("1 of its timed candidates, infeasible"), std::string::npos);
  ASSERT_EQ(spaces.candidate_count(), 1u);
  const RecordedCandidate& candidate = spaces.problems[0].candidates[0];
  EXPECT_EQ(config_text(candidate.tile), "warps=4 block_kv=64 stages=2 warps_kv=1 min_blocks=1");
  EXPECT_DOUBLE_EQ(candidate.time_us, 2);
  EXPECT_EQ(candidate.inputs.blocks, 12);
  EXPECT_EQ(spaces.problems[0].name, "attention f16 batch=1 heads=12 queries=50 keys=50 head_dim=64");
}

TEST_F(RecordedFolders, WhatIsNoProblemIsLeftOutAndNamed) {
  write(kWhole, "attention_f16_batch=1_heads=12_queries=50_keys=50_head_dim=64", std::string(kHeader) + "4,64,2,1,1\n");
  write(kWhole, "convolution", "a,time_ms,cost_s\n1,1,1\n");
  write(kWhole, "gemm_f16_m=5_n=8_k=8", "block_m,time_ms,cost_s\n16,1,1\n");
  const RecordedSpaces spaces = read(kWhole);
  ASSERT_EQ(spaces.skipped.size(), 2u);
  EXPECT_NE(spaces.skipped[0].find("a kernel family expected"), std::string::npos) << spaces.skipped[0];
  EXPECT_NE(spaces.skipped[1].find("of the family gemm is missing"), std::string::npos);
}

TEST_F(RecordedFolders, ADamagedTableIsRefused) {
  write(kWhole, "attention_f16_batch=1_heads=12_queries=50_keys=50_head_dim=64", std::string(kHeader) + "4,64,2,x,1\n");
  EXPECT_NE(refusal(kWhole).find(":2: time_ms 'x' is no finite number"), std::string::npos);
  EXPECT_NE(refusal("absent").find("cannot read the folder"), std::string::npos);
}

TEST_F(RecordedFolders, AFitFindsTheFactorsThatMadeTheTimes) {
  const std::vector<RecordedSpaces> folders = with_factors(skewed());
  const auto error_with = [&](const CostFactors& factors) {
    return judge_families(judge_spaces(folders, [&](std::string_view) { return factors; })).front().median_error;
  };
  const Calibration calibration = fit_calibration(folders);
  ASSERT_EQ(calibration.families.size(), 1u);
  EXPECT_EQ(calibration.arch, "sm_90");
  EXPECT_EQ(calibration.held_out, "devices");
  const FamilyCalibration& attention = *calibration.find("attention");
  EXPECT_GT(error_with({}), 0.15);
  EXPECT_LT(error_with(attention.factors), 0.03);
  EXPECT_EQ(attention.held_out.spaces, 6);
  EXPECT_LT(attention.held_out.median, 0.05);
  EXPECT_GT(attention.held_out.rank_correlation, 0.95);
}

// One device: a fifth of the problems is left out in turn.
TEST_F(RecordedFolders, OneDeviceIsJudgedByItsProblems) {
  const std::vector<RecordedSpaces> folders = with_factors(skewed());
  const Calibration calibration = fit_calibration({folders.data(), 1});
  EXPECT_EQ(calibration.held_out, "problems");
  EXPECT_EQ(calibration.find("attention")->held_out.spaces, 3);
}

TEST_F(RecordedFolders, TheModelThatMadeTheTimesIsPerfect) {
  const std::vector<RecordedSpaces> folders = with_factors(skewed());
  const std::vector<SpaceJudgement> spaces = judge_spaces(folders, [](std::string_view) { return skewed(); });
  const FamilyJudgement judged = judge_families(spaces).front();
  EXPECT_EQ(judged.spaces, 6);
  EXPECT_NEAR(judged.least_correlation, 1, 1e-9);
  EXPECT_NEAR(judged.pooled_correlation, 1, 1e-9);
  EXPECT_EQ(judged.top_hits, judged.top_spaces);
  EXPECT_LT(judged.random_hits, judged.top_spaces);
  EXPECT_LT(judged.p90_error, 1e-4);
  EXPECT_TRUE(judge_spaces(
                  folders, [](std::string_view) { return CostFactors{}; }, 100)
                  .empty());
}

TEST(RankCorrelation, IsSpearmans) {
  EXPECT_DOUBLE_EQ(rank_correlation(std::vector<double>{1, 2, 30}, std::vector<double>{5, 6, 7}), 1);
  EXPECT_DOUBLE_EQ(rank_correlation(std::vector<double>{1, 2, 3}, std::vector<double>{3, 2, 1}), -1);
  EXPECT_DOUBLE_EQ(rank_correlation(std::vector<double>{1, 1, 1}, std::vector<double>{3, 2, 1}), 0);
  // Ranks 1.5, 1.5, 3, 4 against 1, 2, 3, 4: 4.5 / sqrt(4.5 * 5).
  EXPECT_NEAR(rank_correlation(std::vector<double>{1, 1, 2, 3}, std::vector<double>{1, 2, 3, 4}), std::sqrt(0.9),
              1e-12);
}

TEST_F(RecordedFolders, KnownTimesCorrectTheModel) {
  const std::vector<RecordedSpaces> folders = with_factors(skewed());
  const auto factors = [](std::string_view) { return CostFactors{}; };
  const std::vector<TransferResult> same = judge_transfer(folders[0], folders[0], factors, {});
  ASSERT_EQ(same.size(), 3u);
  for (const TransferResult& result : same) {
    EXPECT_EQ(result.shared, result.candidates);
    EXPECT_EQ(result.from_problem, result.problem);
    EXPECT_LE(result.warm[0], result.model[0]);
    EXPECT_GE(result.warm[0], 1);
    for (std::size_t i = 1; i < result.random.size(); ++i) EXPECT_LT(result.random[i], result.random[i - 1]);
  }
  for (const TransferResult& result : judge_transfer(folders[0], folders[0], factors, {.other_shapes = true}))
    EXPECT_NE(result.from_problem, result.problem);
}

// Of the recorded times 1, 2 and 4 us, one at random is 7/3 us in expectation; three are the best.
TEST_F(RecordedFolders, RandomTrialsAreInExpectation) {
  write(kWhole, "attention_f16_batch=1_heads=12_queries=50_keys=50_head_dim=64",
        std::string(kHeader) + "4,64,2,0.001,1\n4,32,2,0.002,1\n4,16,2,0.004,1\n");
  const RecordedSpaces spaces = read(kWhole);
  const auto factors = [](std::string_view) { return CostFactors{}; };
  const std::vector<TransferResult> results = judge_transfer(spaces, spaces, factors, {.least = 1});
  ASSERT_EQ(results.size(), 1u);
  EXPECT_NEAR(results[0].random[0], 7.0 / 3, 1e-9);
  EXPECT_NEAR(results[0].random[1], 1, 1e-9);
}

// Each family's error weighs as much as its time; families without a figure are told as not covered.
TEST(PredictionErrorOfAPlan, IsTheFamiliesWeightedByTime) {
  Plan plan;
  for (const auto& [family, us] :
       std::vector<std::pair<std::string, double>>{{"gemm", 30}, {"head", 10}, {"norm", 10}}) {
    PlanKernel& kernel = plan.kernels.emplace_back();
    kernel.family = family;
    PlanStep& step = plan.steps.emplace_back();
    step.kernel = static_cast<int>(plan.kernels.size()) - 1;
    step.predicted_us = us;
  }
  Calibration calibration;
  calibration.arch = "sm_90";
  calibration.families["gemm"].held_out = {.median = 0.1, .p90 = 0.4, .spaces = 1, .candidates = 9};
  calibration.families["head"].held_out = {.median = 0.2, .p90 = 0.2, .spaces = 1, .candidates = 9};
  calibration.families["norm"] = {};
  DeviceSpec device;
  device.arch = "sm_87";
  EXPECT_FALSE(prediction_error(plan, device).has_value());
  device.calibration = std::make_shared<const Calibration>(calibration);
  const std::optional<PredictionError> error = prediction_error(plan, device);
  ASSERT_TRUE(error.has_value());
  EXPECT_NEAR(error->median, 0.125, 1e-12);
  EXPECT_NEAR(error->p90, 0.35, 1e-12);
  EXPECT_NEAR(error->covered, 0.8, 1e-12);
  EXPECT_EQ(describe(*error), "+- 35% (9 in 10 kernels outside the fit, sm_90; sm_87 unmeasured)");
  EXPECT_FALSE(prediction_error({}, device).has_value());
}

// The counts from the spec alone are those of the graph it came from.
TEST(KernelTraffic, AgreesWithTheGraph) {
  for (const std::string model : {"clip-vit-b32", "siglip2-b16-224"}) {
    for (const FusionRules& rules : {FusionRules{}, FusionRules::none()}) {
      const Graph graph = load_graph(kSource / "graphs" / (model + ".yaml"), {.batch = 2, .precision = Dtype::f16});
      for (const LoweredGroup& group : lower(graph, fuse(graph, rules)).groups) {
        const std::string text = problem_text(group.spec);
        const KernelTraffic traffic = kernel_traffic(parse_problem(text));
        if (text.find("add_table") != std::string::npos) continue;  // how long the table is, the text does not say
        EXPECT_NEAR(traffic.bytes, group.bytes, 0.03 * group.bytes) << text;
        const bool products = text.starts_with("gemm") || text.starts_with("attention");
        EXPECT_NEAR(traffic.flops, group.flops, (products ? 0.03 : 1) * group.flops) << text;
      }
    }
  }
}

}  // namespace
}  // namespace duet
