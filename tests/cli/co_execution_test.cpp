// Plans of towers with SMs of their own and for short texts, and the hog's refusals, through the command.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/npy.h"
#include "tests/cli/cli_fixture.h"

namespace duet {
namespace {

class CoExecution : public CommandTest {
 protected:
  Arguments tune(const Arguments& more) const {
    Arguments arguments = short_tune("plans.db");
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  // tiny-dual's text of `tokens` tokens, as a file; 210 ends it.
  std::string text_of(int tokens) const {
    std::vector<std::int32_t> ids(13, 7);
    ids[static_cast<std::size_t>(tokens) - 1] = 210;
    const std::filesystem::path path = folder_ / ("ids" + std::to_string(tokens) + ".npy");
    write_npy(path, HostTensor::from_ints({1, 13}, ids));
    return "input_ids=" + path.string();
  }
  Arguments run_with(const std::string& input) const {
    return {"run", "tiny-dual", "--target", "emulator", "--db", "plans.db", "--input", input, "--check", "--json"};
  }
};

TEST_F(CoExecution, ShortTextsRunOnTheShortestPlanThatHoldsThem) {
  expect_exit(0, tune({}));
  for (const char* length : {"5", "8"}) expect_exit(0, tune({"--text-length", length}));
  const auto variant_for = [&](int tokens) {
    const nlohmann::json ran = expect_json(run_with(text_of(tokens)));
    EXPECT_GT(ran["check"]["text_embeds"]["cosine_min"], 0.9999) << "against the reference of the whole text";
    return ran["variant"].get<std::string>();
  };
  EXPECT_EQ(variant_for(3), "fused-streams-text5");
  EXPECT_EQ(variant_for(5), "fused-streams-text5");
  EXPECT_EQ(variant_for(6), "fused-streams-text8");
  EXPECT_EQ(variant_for(9), "fused-streams");
  EXPECT_NE(expect_exit(0, run_with(text_of(4))).err.find("the longest text has 4 tokens: the plan for 5 runs"),
            std::string::npos);
}

TEST_F(CoExecution, ATowerThatIsNotCausalIsNotCut) {
  const Outcome refused = expect_exit(2, {"check", "siglip2-b16-224", "--text-length", "16"});
  EXPECT_NE(refused.err.find("no node pools at an end-of-text token"), std::string::npos) << refused.err;
  EXPECT_EQ(line_count(refused.err), 1);
}

TEST_F(CoExecution, TowersGetSmsOfTheirOwn) {
  const Outcome tuned = expect_exit(0, tune({"--mode", "partition"}));
  EXPECT_NE(tuned.out.find("SMs for vision"), std::string::npos) << tuned.out;
  const nlohmann::json ran = expect_json({"run", "tiny-dual", "--target", "emulator", "--db", "plans.db", "--variant",
                                          "fused-partition", "--check", "--json"});
  EXPECT_GT(ran["check"]["image_embeds"]["cosine_min"], 0.9999);
}

TEST_F(CoExecution, AllModesCanBeTunedAtOnce) {
  const nlohmann::json tuned = expect_json(tune({"--mode", "all", "--json"}));
  ASSERT_EQ(tuned["modes"].size(), 4u);
  double least_us = 1e9;
  for (const nlohmann::json& mode : tuned["modes"]) least_us = std::min(least_us, mode["latency_us"].get<double>());
  EXPECT_EQ(tuned["tuned"]["plan"]["latency_us"].get<double>(), least_us);
  const nlohmann::json ran = expect_json({"run", "tiny-dual", "--target", "emulator", "--db", "plans.db", "--json"});
  EXPECT_EQ(ran["variant"], tuned["tuned"]["plan"]["key"]["variant"]);
  EXPECT_EQ(expect_json({"plans", "list", "--db", "plans.db", "--json"}).size(), 4u);
}

TEST_F(CoExecution, AHogNeedsASlice) {
  for (const char* target : {"auto", "emulator", "jetson-orin-nx-16gb"}) {
    const Outcome refused = expect_exit(2, {"tune", "tiny-dual", "--target", target, "--hog", "100"});
    EXPECT_NE(refused.err.find("auto/16sm"), std::string::npos) << refused.err;
    EXPECT_EQ(line_count(refused.err), 1) << refused.err;
  }
  expect_exit(2, {"bench", "tiny-dual", "--target", "auto/16sm", "--hog", "100", "--processes-s", "1"});
}

}  // namespace
}  // namespace duet
