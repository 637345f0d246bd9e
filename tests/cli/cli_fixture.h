// What the tests of the command share: a fresh folder, the shipped data, and a cache of compiled kernels that is kept
// from test to test.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/cli/duet_process.h"
#include "tests/support/temp_dir.h"

namespace duet {

// Where the emulator keeps its objects; DUET_TEST_CACHE is a folder of the build.
inline std::filesystem::path cache_folder() { return DUET_TEST_CACHE; }

// Tuning of the small model that is as short as it can be.
inline Arguments short_tune(const std::string& database) {
  return {"tune", "tiny-dual",        "--target", "emulator",      "--space", "quick", "--jobs",
          "1",    "--max-candidates", "1",        "--no-baseline", "--db",    database};
}

class CommandTest : public testing::Test {
 protected:
  CommandTest() {
    options_.folder = folder_.path();
    options_.environment = {{"DUET_DATA", DUET_SOURCE_DIR}, {"XDG_CACHE_HOME", cache_folder().string()}};
    std::filesystem::create_directories(cache_folder());
  }

  Outcome run(const Arguments& arguments) const { return run_duet(arguments, options_); }

  // Runs it, and fails the test unless it exits with `code`.
  Outcome expect_exit(int code, const Arguments& arguments) const {
    Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.exit_code, code) << "signal " << outcome.signal << "\n" << outcome.err;
    EXPECT_FALSE(outcome.timed_out);
    return outcome;
  }

  nlohmann::json expect_json(const Arguments& arguments) const {
    const Outcome outcome = expect_exit(0, arguments);
    nlohmann::json parsed = nlohmann::json::parse(outcome.out, nullptr, false);
    EXPECT_FALSE(parsed.is_discarded()) << outcome.out.substr(0, 500);
    return parsed;
  }

  std::string write(const std::string& name, const std::string& bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return (folder_ / name).string();
  }

  TempDir folder_;
  ProcessOptions options_;
};

}  // namespace duet
