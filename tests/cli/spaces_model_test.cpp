// `duet spaces fit`, `judge` and `transfer` on the recorded spaces that are kept in results/spaces.
#include <gtest/gtest.h>

#include "base/file.h"
#include "tests/cli/cli_fixture.h"

namespace duet {
namespace {

const std::string kSpaces = std::string(DUET_SOURCE_DIR) + "/results/spaces/NVIDIA_H100_80GB_HBM3";
const std::string kWhole = kSpaces + "_sm_90_132_SMs_1980_MHz,_700_W,_driver_13000";
const std::string kSlice = kSpaces + ",_16_of_132_SMs_sm_90_16_SMs_1980_MHz,_700_W,_driver_13000";

class SpacesModel : public CommandTest {
 protected:
  nlohmann::json judged(const std::string& folder, const std::string& calibration, const std::string& family) const {
    const nlohmann::json out = expect_json({"spaces", "judge", folder, "--calibration", calibration, "--json"});
    for (const nlohmann::json& one : out["families"])
      if (one["family"] == family) return one;
    ADD_FAILURE() << "no family " << family;
    return {};
  }
};

// What was learned on one device must help on the other.
TEST_F(SpacesModel, AFitOnASliceImprovesPredictionsOfTheWhole) {
  const nlohmann::json fit = expect_json({"spaces", "fit", kSlice, "--output", "c.yaml", "--json"});
  EXPECT_EQ(fit["arch"], "sm_90");
  EXPECT_EQ(fit["held_out"], "problems");
  for (const char* family : {"gemm", "embedding", "head"}) {
    EXPECT_GT(fit["families"][family]["held_out_error"]["candidates"], 0);
    const nlohmann::json bare = judged(kWhole, "none", family), fitted = judged(kWhole, "c.yaml", family);
    EXPECT_GT(fitted["mean_rank_correlation"], 0.6) << family;
    EXPECT_LT(fitted["median_error"], bare["median_error"]) << family;
  }
}

TEST_F(SpacesModel, TheCalibrationThatShipsKeepsItsWord) {
  const nlohmann::json out = expect_json({"spaces", "judge", kWhole, kSlice, "--json"});
  EXPECT_FALSE(out["calibration"]["fitted_on"].empty());
  for (const nlohmann::json& family : out["families"]) {
    if (family["family"] == "similarity" || family["family"] == "embedding") continue;  // times within the noise
    EXPECT_GT(family["mean_rank_correlation"], 0.75) << family;
    EXPECT_GE(family["top10_within_5_percent"], 0.9 * family["top10_spaces"].get<double>()) << family;
  }
  EXPECT_NE(expect_exit(0, {"spaces", "judge", kWhole, "--by-space"}).out.find("rank correlation"), std::string::npos);
}

TEST_F(SpacesModel, TransfersFromTheWholeToASlice) {
  const nlohmann::json out = expect_json({"spaces", "transfer", kWhole, kSlice, "--json"});
  ASSERT_GE(out["problems"].size(), 8u);
  for (const nlohmann::json& problem : out["problems"]) {
    EXPECT_EQ(problem["problem"], problem["from_problem"]);
    for (const char* order : {"warm", "model", "random"}) {
      EXPECT_GE(problem[order].back(), 1);
      EXPECT_LE(problem[order].back(), problem[order].front());
    }
  }
  EXPECT_NE(expect_exit(0, {"spaces", "transfer", kWhole, kWhole, "--other-shapes"}).out.find("warm"),
            std::string::npos);
}

TEST_F(SpacesModel, RefusalsNameFileAndLine) {
  write("c.yaml", "duet_calibration: 1\narch: sm_90\nfamilies: {gemm: 1}\n");
  const std::string damaged = expect_exit(3, {"spaces", "judge", kSlice, "--calibration", "c.yaml"}).err;
  EXPECT_NE(damaged.find("c.yaml:1: 'date' is missing"), std::string::npos) << damaged;
  expect_exit(3, {"spaces", "judge", kSlice, "--calibration", "absent.yaml"});
  expect_exit(3, {"spaces", "judge", "no_such_folder"});
  expect_exit(3, {"spaces", "fit", ".", "--output", "c.yaml"});
  expect_exit(6, {"spaces", "judge", kSlice, "--least", "1000"});
  expect_exit(6, {"spaces", "transfer", kWhole, kSlice, "--least", "1000"});
  expect_exit(2, {"spaces", "transfer", kWhole});
}

// A calibration beside the data is used for every prediction; a damaged one stops it with the place.
TEST_F(SpacesModel, PredictionsForAbsentDevicesCarryTheirError) {
  expect_json({"spaces", "fit", kSlice, "--output", "c.yaml", "--json"});
  for (const char* part : {"graphs", "devices", "schedules"})
    std::filesystem::create_directory_symlink(std::filesystem::path(DUET_SOURCE_DIR) / part, folder_ / part);
  std::filesystem::create_directory(folder_ / "calibration");
  publish_file(folder_ / "calibration/default.yaml", read_text_file(folder_ / "c.yaml", 1 << 20));
  options_.environment["DUET_DATA"] = folder_.path().string();
  const Arguments tune{"tune", "tiny-dual", "--target", "emulator",         "--space", "quick",        "--db",
                       "t.db", "--jobs",    "1",        "--max-candidates", "1",       "--no-baseline"};
  const std::string told = expect_exit(0, tune).out;
  EXPECT_NE(told.find("% (9 in 10 kernels outside the fit, sm_90"), std::string::npos) << told;
  write("calibration/default.yaml", "duet_calibration: 9\n");
  EXPECT_NE(expect_exit(3, tune).err.find("default.yaml:1: unknown version"), std::string::npos);
}

}  // namespace
}  // namespace duet
