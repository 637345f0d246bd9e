// The commands at work: check, generate, tune, plans, run, in text and JSON.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "runtime/plan_store.h"
#include "tests/cli/cli_fixture.h"

namespace duet {
namespace {

using Commands = CommandTest;

TEST_F(Commands, CheckPrintsCostAsTextAndJson) {
  const nlohmann::json checked = expect_json({"check", "tiny-dual", "--json"});
  EXPECT_EQ(checked["model"], "tiny-dual");
  ASSERT_GE(checked["towers"].size(), 2u);
  EXPECT_LT(checked["towers"][0]["kernels_fused"], checked["towers"][0]["kernels_unfused"]);
  EXPECT_GT(checked["floors"].size(), 3u);
  const nlohmann::json one = expect_json(
      {"check", "tiny-dual", "--json", "--batch", "4", "--precision", "bf16", "--device", "jetson-orin-nx-16gb@25W"});
  EXPECT_EQ(one["batch"], 4);
  EXPECT_EQ(one["floors"].size(), 1u);
  EXPECT_EQ(one["floors"][0]["power_mode"], "25W");
  EXPECT_NE(expect_exit(0, {"check", "tiny-dual"}).out.find("not measured"), std::string::npos);
}

TEST_F(Commands, ATowerIsAModelOfItsOwn) {
  const nlohmann::json checked = expect_json({"check", "tiny-dual", "--tower", "vision", "--json"});
  EXPECT_EQ(checked["model"], "tiny-dual.vision");
  ASSERT_EQ(checked["towers"].size(), 1u);
  Arguments tune = short_tune("towers.db");
  tune.insert(tune.end(), {"--tower", "text", "--json"});
  EXPECT_EQ(expect_json(tune)["tuned"]["plan"]["key"]["model"], "tiny-dual.text");
  const nlohmann::json ran = expect_json(
      {"run", "tiny-dual", "--tower", "text", "--target", "emulator", "--db", "towers.db", "--check", "--json"});
  EXPECT_GT(ran["check"]["text_embeds"]["cosine_min"], 0.9999);
  const Outcome none =
      expect_exit(4, {"run", "tiny-dual", "--tower", "vision", "--target", "emulator", "--db", "towers.db"});
  EXPECT_NE(none.err.find("--tower vision --target emulator"), std::string::npos) << none.err;
}

TEST_F(Commands, DoctorSaysWhatThereIs) {
  const nlohmann::json found = expect_json({"doctor", "--json"});
  EXPECT_EQ(found["version"], DUET_PROJECT_VERSION);
  EXPECT_FALSE(found["able"].empty());
  EXPECT_NE(expect_exit(0, {"doctor"}).out.find("This machine can:"), std::string::npos);
}

TEST_F(Commands, DoctorNamesTheRailsOfABoard) {
  const std::string boards = std::string(DUET_SOURCE_DIR) + "/tests/runtime/boards/";
  const nlohmann::json nx = expect_json({"doctor", "--board-files", boards + "orin-nx", "--json"});
  EXPECT_EQ(nx["energy"], true);
  EXPECT_EQ(nx["board"]["energy_rails"], nlohmann::json({"VDD_IN"}));
  EXPECT_EQ(nx["board"]["device"], "jetson-orin-nx-16gb@15W");
  const std::string text = expect_exit(0, {"doctor", "--board-files", boards + "orin-nx"}).out;
  EXPECT_NE(text.find("VDD_IN, sampled every 10 ms; measured now: VDD_IN 9.4 W, VDD_CPU_GPU_CV 2.8 W, VDD_SOC 2.1 W"),
            std::string::npos)
      << text;
  const nlohmann::json bare = expect_json({"doctor", "--board-files", folder_.path().string(), "--json"});
  EXPECT_TRUE(bare["board"]["energy_rails"].empty());
}

TEST_F(Commands, GenerateWritesSourcesThatStandAlone) {
  const nlohmann::json kernels = expect_json({"generate", "tiny-dual", "--output", "kernels", "--json"});
  ASSERT_GT(kernels.size(), 5u);
  for (const nlohmann::json& kernel : kernels)
    EXPECT_TRUE(std::filesystem::exists(folder_ / "kernels" / (kernel["entry"].get<std::string>() + ".cu")));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "kernels" / "templates" / "gemm.cuh"));
  const nlohmann::json unfused = expect_json({"generate", "tiny-dual", "--output", "unfused", "--unfused", "--json"});
  EXPECT_GE(unfused.size(), kernels.size());
}

TEST_F(Commands, SpacesAreListedAndExported) {
  PlanStore store = PlanStore::open(folder_ / "t.db", PlanStore::Mode::tune);
  CandidateRecord candidate{
      .device = "GPU, 700 W", .problem = "gemm m=50", .status = "ok", .provenance = Provenance::measured};
  for (const int stages : {2, 3}) {
    candidate.config = fmt::format("stages={}", stages);
    candidate.median_us = 10.0 * stages;
    store.record(candidate);
  }
  const nlohmann::json spaces = expect_json({"spaces", "list", "--db", "t.db", "--json"});
  ASSERT_EQ(spaces.size(), 1u);
  EXPECT_EQ(spaces[0]["problem"], "gemm m=50");
  EXPECT_EQ(spaces[0]["candidates"], 2);
  EXPECT_EQ(spaces[0]["best_us"], 20);
  EXPECT_NE(expect_exit(0, {"spaces", "list", "--db", "t.db"}).out.find("20.00  gemm m=50"), std::string::npos);
  const Arguments arguments{"spaces", "export", "--db", "t.db", "--output", "out", "--json"};
  const std::string file = expect_json(arguments).at(0)["file"];
  EXPECT_EQ(file, "out/GPU,_700_W/gemm_m=50.csv.gz");
  const std::string written = read_text_file(folder_ / file, 1 << 20);
  EXPECT_EQ(written.substr(0, 2), "\x1f\x8b");
  expect_exit(0, arguments);
  EXPECT_EQ(read_text_file(folder_ / file, 1 << 20), written);
}

TEST_F(Commands, WithoutTimesThereIsNoSpaceToExport) {
  expect_exit(0, short_tune("t.db"));
  EXPECT_NE(expect_exit(6, {"spaces", "export", "--db", "t.db"}).err.find("was timed"), std::string::npos);
  EXPECT_GT(expect_json({"spaces", "list", "--db", "t.db", "--json"}).size(), 3u);
}

TEST_F(Commands, TunePlansAndRunWorkTogether) {
  Arguments tune = short_tune("t.db");
  tune.push_back("--json");
  const nlohmann::json tuned = expect_json(tune);
  const std::int64_t id = tuned["plan_id"];
  EXPECT_EQ(tuned["tuned"]["plan"]["provenance"], "emulated");
  const std::string commit = expect_json({"doctor", "--json"})["commit"];
  EXPECT_EQ(tuned["tuned"]["plan"]["commit"], commit);

  const nlohmann::json list = expect_json({"plans", "list", "--db", "t.db", "--json"});
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0]["id"], id);
  const nlohmann::json shown = expect_json({"plans", "show", std::to_string(id), "--db", "t.db", "--json"});
  EXPECT_EQ(shown["steps"], tuned["tuned"]["plan"]["steps"]);
  EXPECT_NE(expect_exit(0, {"plans", "show", std::to_string(id), "--db", "t.db"}).out.find("EMULATED"),
            std::string::npos);

  const nlohmann::json why = expect_json({"plans", "why", "tiny-dual", "--db", "t.db", "--json"});
  ASSERT_GT(why["kernels"].size(), 5u);
  for (const nlohmann::json& kernel : why["kernels"]) EXPECT_EQ(kernel["chosen"]["provenance"], "emulated") << kernel;

  const nlohmann::json ran =
      expect_json({"run", "tiny-dual", "--target", "emulator", "--db", "t.db", "--check", "--json", "--output", "out"});
  ASSERT_EQ(ran["check"].size(), 3u);
  for (const auto& [name, check] : ran["check"].items()) EXPECT_GT(check["cosine_min"], 0.9999) << name;
  EXPECT_TRUE(std::filesystem::exists(folder_ / "out" / "image_embeds.npy"));
  expect_exit(0, {"run", "tiny-dual", "--target", "emulator", "--db", "t.db", "--check"});

  const std::string photo = DUET_SOURCE_DIR "/tests/frontend/golden/images/420.jpg";
  for (const char* where : {"cpu", "gpu"})
    expect_exit(0, {"run", "tiny-dual", "--target", "emulator", "--db", "t.db", "--image", photo, "--preprocess", where,
                    "--output", where});
  EXPECT_EQ(read_text_file(folder_ / "cpu" / "image_embeds.npy", 1 << 20),
            read_text_file(folder_ / "gpu" / "image_embeds.npy", 1 << 20));

  expect_exit(0, {"plans", "export", "t.duet", "--db", "t.db"});
  EXPECT_EQ(expect_json({"plans", "list", "--db", "t.duet", "--json"}).size(), 1u);
  EXPECT_NE(expect_exit(3, {"plans", "export", "t.duet", "--db", "t.db"}).err.find("exists already"),
            std::string::npos);
  expect_exit(3, {"plans", "export", "t.db", "--db", "t.db"});

  expect_exit(3, {"plans", "remove", "99", "--db", "t.db"});
  expect_exit(0, {"plans", "remove", std::to_string(id), "--db", "t.db"});
  EXPECT_TRUE(expect_json({"plans", "list", "--db", "t.db", "--json"}).empty());
  expect_exit(4, {"plans", "remove", "1", "--db", "absent.db"});
  EXPECT_FALSE(std::filesystem::exists(folder_ / "absent.db"));
}

}  // namespace
}  // namespace duet
