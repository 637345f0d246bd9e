#include "profile/trace_file.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "tests/profile/sample_run.h"

namespace duet {
namespace {

using namespace duet::testing;
using nlohmann::json;

json parse(const std::string& text) {
  json parsed = json::parse(text, nullptr, false);
  EXPECT_FALSE(parsed.is_discarded()) << text.substr(0, 300);
  return parsed;
}

json sample_trace() {
  const Plan plan = two_tower_run();
  return parse(trace_file_text(plan, sample_replay(plan), {{"plan", "two-tower/b1"}}));
}

std::vector<json> events_of(const json& trace, const std::string& phase) {
  std::vector<json> events;
  for (const json& event : trace.at("traceEvents")) {
    if (event.at("ph") == phase) events.push_back(event);
  }
  return events;
}

// Track number to name.
std::map<int, std::string> tracks(const json& trace) {
  std::map<int, std::string> names;
  for (const json& event : events_of(trace, "M")) {
    if (event.at("name") == "thread_name") names[event.at("tid")] = event.at("args").at("name");
  }
  return names;
}

TEST(TraceFile, ASliceForEachStepOnItsTowersTrack) {
  const json trace = sample_trace();
  const std::vector<json> slices = events_of(trace, "X");
  ASSERT_EQ(slices.size(), 6U);
  const json& second = slices[1];
  EXPECT_EQ(second.at("name"), "text.layers.0.fc");
  EXPECT_EQ(tracks(trace).at(second.at("tid")), "text");
  EXPECT_EQ(second.at("ts"), 1.0);
  EXPECT_EQ(second.at("dur"), 4.0);
  const json& args = second.at("args");
  EXPECT_EQ(args.at("kernel"), "gemm");
  EXPECT_EQ(args.at("grid"), "4x1x1");
  EXPECT_EQ(args.at("block"), "128x1x1");
  EXPECT_EQ(args.at("registers"), 96);
  EXPECT_EQ(args.at("smem_bytes"), 4096);
  EXPECT_EQ(args.at("floor_us"), 2.0);
  EXPECT_EQ(trace.at("otherData").at("plan"), "two-tower/b1");
}

TEST(TraceFile, AnEarlyLaunchHasATrackOfItsOwn) {
  const json trace = sample_trace();
  const std::vector<json> slices = events_of(trace, "X");
  EXPECT_EQ(tracks(trace).at(slices[4].at("tid")), "vision (launched early)");
  EXPECT_EQ(tracks(trace).size(), 4U);
}

TEST(TraceFile, SlicesOfATrackNeverOverlap) {
  std::map<int, double> ended_us;
  const json trace = sample_trace();
  std::vector<json> slices = events_of(trace, "X");
  std::sort(slices.begin(), slices.end(), [](const json& a, const json& b) { return a.at("ts") < b.at("ts"); });
  for (const json& slice : slices) {
    double& ended = ended_us[slice.at("tid")];
    EXPECT_LE(ended, slice.at("ts")) << slice;
    ended = slice.at("ts").get<double>() + slice.at("dur").get<double>();
  }
}

TEST(TraceFile, TheCounterFollowsTheTowers) {
  std::vector<std::pair<double, int>> levels;
  for (const json& event : events_of(sample_trace(), "C"))
    levels.emplace_back(event.at("ts"), event.at("args").at("towers"));
  EXPECT_EQ(levels, (std::vector<std::pair<double, int>>{{0, 1}, {1, 2}, {5, 1}, {7, 2}, {10, 1}, {12, 0}}));
}

TEST(TraceFile, NamesThatAreNoTextStayJson) {
  Plan plan = two_tower_run();
  plan.steps[0].name = "\xff\"\n\\";
  plan.steps[0].tower = "\xc3";
  parse(trace_file_text(plan, sample_replay(plan), {{"plan", "\xfe"}}));
}

}  // namespace
}  // namespace duet
