#include "codegen/calibration.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "tests/support/error_of.h"
#include "tests/support/temp_dir.h"

namespace duet {
namespace {

Calibration sample() {
  Calibration calibration{
      .arch = "sm_90",
      .date = "2026-11-26",
      .commit = "0123abcd",
      .held_out = "devices",
      .spaces = {"A \"quoted\" device,\n\x7f: 3 spaces, 40 candidates", "b\\c: 1 spaces, 2 candidates"},
      .families = {}};
  FamilyCalibration family;
  double value = 0.25;
  for (const CostFactorField& field : kCostFactorFields) family.factors.*field.member = value += 0.25;
  family.factors.overlap = 1.5;
  family.held_out = {.median = 0.125, .p90 = 0.25, .rank_correlation = -0.5, .spaces = 3, .candidates = 40};
  calibration.families["gemm"] = family;
  calibration.families["head"] = {};
  return calibration;
}

// The refusal of the sample's text with one part replaced.
std::string refusal(std::string_view from, std::string_view to) {
  std::string text = calibration_yaml(sample());
  text.replace(text.find(from), from.size(), to);
  const TempDir dir;
  publish_file(dir.path() / "c.yaml", text);
  return error_of(ErrorKind::input, [&] { load_calibration(dir.path() / "c.yaml"); });
}

TEST(Calibration, ReadsWhatItWrites) {
  const TempDir dir;
  publish_file(dir.path() / "c.yaml", calibration_yaml(sample()));
  EXPECT_EQ(load_calibration(dir.path() / "c.yaml"), sample());
}

TEST(Calibration, ADamagedFileGivesFileAndLine) {
  const auto expect = [](std::string_view from, std::string_view to, const std::string& message) {
    const std::string error = refusal(from, to);
    EXPECT_NE(error.find("c.yaml:"), std::string::npos) << error;
    EXPECT_NE(error.find(message), std::string::npos) << error;
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  };
  expect("duet_calibration: 1", "duet_calibration: 2", ":3: unknown version of the format");
  expect("arch: \"sm_90\"", "ark: sm_90", ":4: unknown key 'ark'; did you mean 'arch'?");
  expect("  gemm:", "  gem:", ": unknown key 'gem'; did you mean 'gemm'?");
  expect("      launch: 0.5", "      launch: nan", ":14: launch: 'nan' is no number from 0.01 to 100");
  expect("      launch: 0.5", "      launch: -1", ":14: launch: '-1' is no number");
  expect("      launch: 0.5", "      launch: [1]", ":14: launch: '' is no number");
  expect("      launch: 0.5\n", "", ":14: 'launch' is missing");
  expect("      overlap: 1.5", "      overlap: 0.5", "overlap: '0.5' is no number from 1 to 100");
  expect("rank_correlation: -0.5", "rank_correlation: 2", "rank_correlation: '2' is no number from -1 to 1");
  expect("families:", "families: 3\nx:", "unknown key 'x'");
  expect("  gemm:\n", "  gemm: 5\n  head: {\n", "c.yaml:");
}

TEST(Calibration, TheArchitecturesOwnFileGoesFirst) {
  const TempDir dir;
  EXPECT_TRUE(find_calibration(dir.path(), "sm_87").empty());
  publish_file(dir.path() / "default.yaml", "");
  EXPECT_EQ(find_calibration(dir.path(), "sm_87").filename(), "default.yaml");
  publish_file(dir.path() / "sm_87.yaml", "");
  EXPECT_EQ(find_calibration(dir.path(), "sm_87").filename(), "sm_87.yaml");
  EXPECT_EQ(find_calibration(dir.path(), "sm_110").filename(), "default.yaml");
}

TEST(Calibration, AnUnmeasuredFamilyHasNone) {
  EXPECT_NE(sample().find("gemm"), nullptr);
  EXPECT_EQ(sample().find("norm"), nullptr);
}

}  // namespace
}  // namespace duet
