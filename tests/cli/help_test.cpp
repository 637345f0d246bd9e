// Help, version, wrong usage, exit codes, and how quickly the command starts.
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "tests/cli/cli_fixture.h"

namespace duet {
namespace {

constexpr int kUsage = 2, kInput = 3, kMissing = 4;

class Help : public CommandTest {
 protected:
  // The names under "Subcommands:" of a help text.
  static std::vector<std::string> subcommands(const std::string& help) {
    std::vector<std::string> names;
    std::istringstream lines(help);
    bool inside = false;
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("Subcommands:")) {
        inside = true;
      } else if (inside && line.starts_with("  ") && line[2] != ' ') {
        names.push_back(line.substr(2, line.find(' ', 2) - 2));
      } else if (!line.empty() && !line.starts_with(" ")) {
        inside = false;
      }
    }
    return names;
  }

  void expect_one_line(int code, const Arguments& arguments, const std::string& says) const {
    const Outcome outcome = expect_exit(code, arguments);
    EXPECT_EQ(line_count(outcome.err), 1) << outcome.err;
    EXPECT_NE(outcome.err.find(says), std::string::npos) << outcome.err;
    EXPECT_TRUE(outcome.out.empty()) << outcome.out;
  }

  bool has_gpu() const { return expect_json({"doctor", "--json"}).value("gpu", false); }
};

TEST_F(Help, EveryCommandShowsAnExample) {
  const Outcome top = expect_exit(0, {"--help"});
  EXPECT_NE(top.out.find("Exit codes:"), std::string::npos);
  EXPECT_NE(top.out.find("Example:"), std::string::npos);
  const std::vector<std::string> commands = subcommands(top.out);
  for (const char* name :
       {"doctor", "check", "generate", "tune", "plans", "spaces", "replay", "run", "bench", "profile"})
    EXPECT_NE(std::find(commands.begin(), commands.end(), name), commands.end()) << name;
  for (const std::string& name : commands) {
    const Outcome help = expect_exit(0, {name, "--help"});
    const std::vector<std::string> inner = subcommands(help.out);
    if (inner.empty()) {
      EXPECT_NE(help.out.find("Example: duet " + name), std::string::npos) << help.out;
    }
    for (const std::string& second : inner) {
      const Outcome deeper = expect_exit(0, {name, second, "--help"});
      EXPECT_NE(deeper.out.find("Example: duet " + name + " " + second), std::string::npos) << deeper.out;
    }
  }
}

TEST_F(Help, DefaultsAreShown) {
  const std::map<std::string, std::vector<std::string>> defaults{
      {"check", {"=1", "=f16"}},
      {"generate", {"=jetson-orin-nx-16gb", "=default", "=generated"}},
      {"tune", {"=auto", "=default", "=0.02", "=streams", "duet.db"}},
      {"run", {"=auto", "=best"}},
      {"bench", {"=200", "baseline"}},
      {"profile", {"=auto", "=fused-streams", "=5"}}};
  for (const auto& [command, texts] : defaults) {
    const Outcome help = expect_exit(0, {command, "--help"});
    for (const std::string& text : texts)
      EXPECT_NE(help.out.find(text), std::string::npos) << command << " " << text << "\n" << help.out;
  }
}

TEST_F(Help, VersionIsOneLine) {
  const Outcome outcome = expect_exit(0, {"--version"});
  const std::string commit = expect_json({"doctor", "--json"})["commit"];
  EXPECT_EQ(outcome.out, DUET_PROJECT_VERSION + (commit.empty() ? commit : " " + commit) + "\n");
  EXPECT_TRUE(outcome.err.empty());
}

TEST_F(Help, WrongUsageIsOneLineAndExitsWithTwo) {
  expect_one_line(kUsage, {}, "subcommand");
  expect_one_line(kUsage, {"nope"}, "'nope' is not known");
  expect_one_line(kUsage, {"--nope"}, "--nope");
  expect_one_line(kUsage, {"check", "tiny-dual", "--nope"}, "--nope");
  expect_one_line(kUsage, {"check"}, "model is required");
  expect_one_line(kUsage, {"check", "nope"}, "there is no 'nope'");
  expect_one_line(kUsage, {"check", "tiny-dual", "--batch", "0"}, "--batch");
  expect_one_line(kUsage, {"check", "tiny-dual", "--precision", "f64"}, "f64");
  expect_one_line(kUsage, {"tune", "tiny-dual", "--strategy", "luck"}, "luck");
  expect_one_line(kUsage, {"tune", "tiny-dual", "--mode", "sideways"}, "sideways");
  expect_one_line(kUsage, {"profile", "tiny-dual", "--replays", "0"}, "--replays");
  expect_one_line(kUsage, {"bench", "tiny-dual", "--energy-s", "-1"}, "--energy-s");
  expect_one_line(kUsage, {"bench", "tiny-dual", "--kernels", "--processes-s", "1"}, "--kernels");
  expect_one_line(kUsage, {"bench", "tiny-dual", "--tower", "text", "--processes-s", "1"}, "leave out --tower");
  expect_one_line(kUsage, {"check", "tiny-dual", "--tower", "joint"}, "it has vision, text");
  expect_one_line(kUsage, {"plans"}, "subcommand");
  expect_one_line(kUsage, {"plans", "burn"}, "'burn' is not known");
  expect_one_line(kUsage, {"plans", "show", "one"}, "one");
}

TEST_F(Help, AMalformedGraphNamesFileAndLine) {
  const std::string path =
      write("bad.yaml", "duet: 1\nname: g\ninputs: {x: {dtype: float, shape: [B, 4]}}\nnonsense: 1\n");
  expect_one_line(kInput, {"check", path}, "bad.yaml:4:");
}

TEST_F(Help, OnlyAGpuCanBeTraced) {
  expect_one_line(kMissing, {"profile", "tiny-dual", "--target", "emulator"}, "'emulator' cannot be traced");
}

TEST_F(Help, AMissingDriverIsOneSentence) {
  if (has_gpu()) GTEST_SKIP() << "this machine has a GPU";
  expect_one_line(kMissing, {"tune", "tiny-dual", "--target", "auto"}, "no CUDA driver");
  expect_one_line(kMissing, {"run", "tiny-dual"}, "no CUDA driver");
  expect_one_line(kMissing, {"bench", "tiny-dual"}, "no CUDA driver");
  expect_one_line(kMissing, {"profile", "tiny-dual"}, "no CUDA driver");
  expect_one_line(kMissing, {"bench", "tiny-dual", "--kernels"}, "no CUDA driver");
  expect_one_line(kMissing, {"bench", "tiny-dual", "--processes-s", "1"}, "no CUDA driver");
}

TEST_F(Help, StartsInUnderFiftyMilliseconds) {
  if (DUET_SANITIZED) GTEST_SKIP() << "sanitizers start slowly";
  for (const Arguments& arguments : {Arguments{"--version"}, Arguments{"check", "tiny-dual"}}) {
    std::vector<double> seconds;
    for (int i = 0; i < 11; ++i) seconds.push_back(expect_exit(0, arguments).seconds);
    std::nth_element(seconds.begin(), seconds.begin() + 3, seconds.end());  // other tests share the cores
    EXPECT_LT(seconds[3], 0.050) << arguments.front();
  }
}

}  // namespace
}  // namespace duet
