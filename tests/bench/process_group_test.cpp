#include "bench/process_group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/error.h"

namespace duet {
namespace {

using namespace std::chrono_literals;

// The moment it begins, after a preparation of some length.
ProcessWork begins_after(std::chrono::milliseconds preparation) {
  return [preparation] {
    std::this_thread::sleep_for(preparation);
    return [] { return std::to_string(std::chrono::steady_clock::now().time_since_epoch() / 1us); };
  };
}

TEST(ProcessGroup, BeginsWhenTheLastIsReady) {
  const auto before = std::chrono::steady_clock::now().time_since_epoch() / 1us;
  const std::vector<std::string> begun = run_in_processes({begins_after(0ms), begins_after(60ms)});
  ASSERT_EQ(begun.size(), 2U);
  EXPECT_GE(std::stoll(begun[0]) - before, 60'000);
  EXPECT_GE(std::stoll(begun[1]) - before, 60'000);
}

TEST(ProcessGroup, GivesLongResultsInOrder) {
  const ProcessWork pid = [] { return [] { return std::to_string(::getpid()); }; };
  const ProcessWork longer = [] { return [] { return std::string(1 << 20, 'x'); }; };
  const std::vector<std::string> results = run_in_processes({longer, pid});
  EXPECT_EQ(results.at(0), std::string(1 << 20, 'x'));
  EXPECT_NE(results.at(1), std::to_string(::getpid()));
}

TEST(ProcessGroup, SaysWhyOneFailed) {
  const ProcessWork good = begins_after(0ms);
  const ProcessWork unready = []() -> std::function<std::string()> { fail(ErrorKind::missing, "no plan"); };
  const ProcessWork broken = [] { return []() -> std::string { fail(ErrorKind::device, "kernel failed"); }; };
  const ProcessWork dies = [] { return []() -> std::string { std::_Exit(3); }; };
  const auto why = [&](const ProcessWork& work) {
    try {
      run_in_processes({good, work});
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("nothing");
  };
  EXPECT_THAT(why(unready), testing::HasSubstr("no plan"));
  EXPECT_THAT(why(broken), testing::HasSubstr("kernel failed"));
  EXPECT_THAT(why(dies), testing::HasSubstr("without a word"));
}

}  // namespace
}  // namespace duet
