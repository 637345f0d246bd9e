// `duet replay`: its table, JSON and traces, and what it says of files that are none.
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/gzip.h"
#include "tests/cli/cli_fixture.h"

namespace duet {
namespace {

class Replay : public CommandTest {
 protected:
  Replay() {
    std::string csv = "tile,stages,time_ms,cost_s,status\n";
    for (int tile = 0; tile < 20; ++tile)
      for (int stages = 0; stages < 10; ++stages)
        csv += std::to_string(tile) + "," + std::to_string(stages) + "," +
               (tile + stages == 20 ? "" : std::to_string(1 + (tile - 7) * (tile - 7) + stages)) + ",1,ok\n";
    publish_file(folder_.path() / "space.csv.gz", gzip(csv));
  }
};

TEST_F(Replay, ScoresAStrategyAndKeepsItsTrials) {
  const Arguments arguments{"replay", "space.csv.gz", "--repeats", "3", "--traces", "t.jsonl"};
  EXPECT_NE(expect_exit(0, arguments).out.find("portfolio\nspace "), std::string::npos);
  Arguments json = arguments;
  json.emplace_back("--json");
  const nlohmann::json result = expect_json(json).at("results").at(0);
  EXPECT_EQ(result["strategy"], "portfolio");
  EXPECT_GT(result["score"], 0.2);
  EXPECT_EQ(result["optimum_ms"], 1);
  std::istringstream lines(read_text_file(folder_.path() / "t.jsonl", 1 << 20));
  int repeats = 0;
  for (std::string line; std::getline(lines, line); ++repeats) {
    const nlohmann::json trace = nlohmann::json::parse(line);
    EXPECT_EQ(trace["strategy"], "portfolio");
    EXPECT_EQ(trace["repeat"], repeats);
    EXPECT_EQ(trace["trace"].at(0).at(1), 1);
  }
  EXPECT_EQ(repeats, 3);
}

TEST_F(Replay, ComparesAllStrategies) {
  const nlohmann::json all = expect_json({"replay", "space.csv.gz", "--strategy", "all", "--repeats", "2", "--json"});
  EXPECT_GE(all["results"].size(), 10u);
  EXPECT_EQ(all["results"].size(), all["summary"].size());
}

TEST_F(Replay, RefusesWhatIsNoSpace) {
  EXPECT_NE(expect_exit(3, {"replay", "absent.csv.gz"}).err.find("absent.csv.gz"), std::string::npos);
  write("cut.csv.gz", "\x1f\x8b\x08");
  EXPECT_NE(expect_exit(3, {"replay", "cut.csv.gz"}).err.find("no whole gzip file"), std::string::npos);
  write("other.csv", "a,b\n1,2\n");
  EXPECT_NE(expect_exit(3, {"replay", "other.csv"}).err.find("no column time_ms"), std::string::npos);
  expect_exit(2, {"replay", "space.csv.gz", "--strategy", "luck"});
  expect_exit(2, {"replay", "space.csv.gz", "--repeats", "0"});
  expect_exit(2, {"replay"});
  expect_exit(3, {"replay", "space.csv.gz", "--repeats", "1", "--traces", "no/such/folder/t.jsonl"});
}

std::string recorded_product() {
  return std::string(DUET_SOURCE_DIR) +
         "/results/spaces/NVIDIA_H100_80GB_HBM3_sm_90_132_SMs_1980_MHz,_700_W,_driver_13000/" +
         "gemm_f16_m=77_n=1536_k=512_layer_norm_bias.csv.gz";
}

// A calibration that cannot be read stops the command; a space that is of no kernel is only left without predictions.
TEST_F(Replay, PredictsSpacesOfKernels) {
  const auto replayed = [&](const Arguments& predict) {
    Arguments arguments{"replay", recorded_product(), "--repeats", "10", "--json"};
    arguments.insert(arguments.end(), predict.begin(), predict.end());
    return expect_json(arguments);
  };
  const auto score = [](const nlohmann::json& result) { return result.at("results").at(0).at("score").get<double>(); };
  const nlohmann::json shipped = replayed({}), unaided = replayed({"--predict", "none"});
  EXPECT_GT(score(shipped), score(unaided));
  EXPECT_GT(score(replayed({"--predict", "formula"})), score(unaided));
  EXPECT_EQ(score(shipped), score(replayed({"--predict", "shipped"})));
  EXPECT_EQ(shipped.at("predictions").at("spaces"), 1);
  EXPECT_FALSE(unaided.contains("predictions"));
  EXPECT_NE(expect_exit(3, {"replay", recorded_product(), "--predict", "absent.yaml"}).err.find("absent.yaml"),
            std::string::npos);
  write("c.yaml", "duet_calibration: 1\narch: sm_90\nfamilies: {gemm: 1}\n");
  EXPECT_NE(
      expect_exit(3, {"replay", recorded_product(), "--predict", "c.yaml"}).err.find("c.yaml:1: 'date' is missing"),
      std::string::npos);
}

TEST_F(Replay, SaysWhatPredicted) {
  const auto shown = [&](const Arguments& arguments) { return expect_exit(0, arguments); };
  EXPECT_NE(
      shown({"replay", recorded_product(), "space.csv.gz", "--repeats", "1"})
          .out.find("predictions: 1 of 2 spaces, by the calibration that ships, which was fitted on spaces of these"),
      std::string::npos);
  const std::string formula = shown({"replay", recorded_product(), "--repeats", "1", "--predict", "formula"}).out;
  EXPECT_NE(formula.find("predictions: 1 of 1 spaces, by the bare formula\n"), std::string::npos);
  EXPECT_EQ(shown({"replay", recorded_product(), "--repeats", "1", "--predict", "none"}).out.find("predictions:"),
            std::string::npos);
  // Of files that are not ours there is nothing to say, unless it was asked for.
  const auto foreign = shown({"replay", "space.csv.gz", "--repeats", "1"});
  EXPECT_EQ(foreign.out.find("predictions:"), std::string::npos);
  EXPECT_EQ(foreign.err, "");
  EXPECT_NE(
      shown({"replay", "space.csv.gz", "--repeats", "1", "--predict", "shipped"}).err.find("nothing is predicted"),
      std::string::npos);
}

}  // namespace
}  // namespace duet
