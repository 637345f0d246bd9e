#include "tuner/sm_shares.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <set>
#include <string>

#include "codegen/fusion.h"
#include "tests/support/fake_device.h"
#include "tests/tuner/fakes.h"
#include "tests/tuner/small_graphs.h"
#include "tuner/co_execution.h"
#include "tuner/device_share.h"
#include "tuner/sm_division.h"

namespace duet {
namespace {

using Shares = std::vector<int>;

TEST(SmShares, AreTheGranulesAndTheirRests) {
  EXPECT_EQ(possible_shares(16, {8, 8}), Shares{8});
  EXPECT_EQ(possible_shares(16, {4, 2}), (Shares{4, 6, 8, 10, 12}));
  EXPECT_EQ(possible_shares(20, {8, 8}), (Shares{8, 12}));  // of 20, 8 are a group and 12 the rest
  EXPECT_EQ(possible_shares(8, {8, 8}), Shares{});
  EXPECT_EQ(possible_shares(132, {0, 0}), Shares{});
  const Shares h100 = possible_shares(132, {8, 8});
  EXPECT_EQ(h100.front(), 8);
  EXPECT_EQ(h100.back(), 124);
  EXPECT_NE(std::find(h100.begin(), h100.end(), 44), h100.end());
}

TEST(SmShares, MakeASmallerDeviceOfTheSameMemory) {
  DeviceSpec device = test_device();
  const DeviceSpec half = sm_share_of(device, device.sm_count / 2);
  EXPECT_EQ(half.sm_count, device.sm_count / 2);
  EXPECT_DOUBLE_EQ(half.fp16_tflops, device.fp16_tflops / 2);
  EXPECT_EQ(half.memory_gbps, device.memory_gbps);
  EXPECT_EQ(half.l2_bytes, device.l2_bytes);
}

// Towers of a part that SMs share out and a part that they do not, as chains of short kernels have.
TEST(SmShares, BeginWhereTheSlowerTowerIsFastest) {
  const Shares shares = possible_shares(132, {8, 8});
  for (const double first_us : {20.0, 100.0, 500.0, 3000.0}) {
    for (const double second_us : {50.0, 400.0}) {
      const auto tower_us = [&](int tower, int sms) {
        return tower == 0 ? 100 + first_us * 132 / sms : 180 + second_us * 132 / sms;
      };
      const auto slower_us = [&](int share) { return std::max(tower_us(0, share), tower_us(1, 132 - share)); };
      int asked = 0;
      const int chosen = share_by_times(shares, 132, [&](int tower, int sms) { return ++asked, tower_us(tower, sms); });
      for (const int share : shares) EXPECT_LE(slower_us(chosen), slower_us(share)) << share;
      EXPECT_LT(asked, 20) << "of " << 2 * shares.size();
    }
  }
}

TEST(SmShares, GoToOneTowerWhereTheOtherCannotUseThem) {
  const Shares shares{4, 8, 12};
  const auto flat = [](int slow_tower) {
    return [=](int tower, int sms) { return tower == slow_tower ? 100.0 / sms : 1.0; };
  };
  EXPECT_EQ(share_by_times(shares, 16, flat(0)), 12);
  EXPECT_EQ(share_by_times(shares, 16, flat(1)), 4);
  EXPECT_EQ(share_by_times(Shares{8}, 16, flat(0)), 8);
}

TEST(SmShares, FollowThePredictedTimesOfTheTowers) {
  DeviceSpec device = test_device();
  device.sm_count = 16;
  const auto [fused, lowering, order, division] =
      divide_graph(nullptr, device, ExecutionMode::partition, tiny_dual(), {}, small_space());
  ASSERT_EQ(order.stream_count, 3);
  EXPECT_EQ(division.all_sms, 16);
  EXPECT_TRUE(division.has(division.first_share));
  EXPECT_GE(division.first_share, 8) << "vision is the larger tower";
}

std::set<std::string> towers_with_row_sums(const FusedGraph& fused) {
  std::set<std::string> towers;
  for (const FusedGroup& group : fused.groups)
    for (const NodeId id : group.nodes)
      if (fused.graph.nodes[static_cast<std::size_t>(id)].op == OpKind::row_sums) towers.insert(group.tower);
  return towers;
}

// The text tower's few rows are many for the SMs that it gets.
TEST(SmShares, DecideWhatIsFused) {
  const Graph graph = load_graph(std::filesystem::path(DUET_SOURCE_DIR) / "graphs" / "clip-vit-b16.yaml", {});
  DeviceSpec device = test_device();
  device.sm_count = 132;
  const SearchSpace space = small_space();
  const DividedGraph shared = divide_graph(nullptr, device, ExecutionMode::streams, graph, {}, space);
  const DividedGraph divided = divide_graph(nullptr, device, ExecutionMode::partition, graph, {}, space);
  EXPECT_EQ(towers_with_row_sums(shared.fused), std::set<std::string>{"vision"});
  EXPECT_EQ(towers_with_row_sums(divided.fused), (std::set<std::string>{"text", "vision"}));
  ASSERT_FALSE(divided.division.shares.empty());
  for (const int share : divided.division.shares) {
    const TowerSms sms{.all = 132, .of_tower = {{"vision", share}, {"text", 132 - share}}};
    EXPECT_EQ(fuse_graph(graph, {}, sms).groups, divided.fused.groups) << share;
  }
  EXPECT_LT(divided.division.shares.size(), possible_shares(132, share_granule(nullptr)).size());
}

TEST(SmShares, JointStepsWaitForBothTowers) {
  const Graph graph = tiny_dual();
  const Lowering lowering = lower(graph, fuse(graph, {}));
  const StepOrder order = order_steps(lowering, ExecutionMode::partition);
  int joint = 0;
  for (std::size_t i = 0; i < lowering.groups.size(); ++i) {
    const bool is_joint = lowering.groups[i].group.tower == "joint";
    EXPECT_EQ(order.stream[i] == 0, is_joint);
    if (!is_joint || joint++ > 0) continue;
    EXPECT_EQ(order.waits[i].size(), 2u);
  }
  EXPECT_GT(joint, 0);
}

// Times with their least at `best`.
struct Valley {
  int best;
  std::map<int, int> timed{};
  double operator()(int share) {
    ++timed[share];
    return 100 + std::abs(share - best);
  }
};

TEST(ShareSearch, WalksToTheFasterNeighbour) {
  const Shares shares{2, 4, 6, 8, 10, 12, 14};
  for (const int best : shares) {
    for (const int start : shares) {
      Valley valley{.best = best};
      const ShareChoice choice = search_share(shares, start, 100, std::ref(valley));
      EXPECT_EQ(choice.share, best) << "from " << start;
      EXPECT_EQ(choice.time_us, 100);
      for (const auto& [share, times] : valley.timed) EXPECT_EQ(times, 1) << share;
      EXPECT_EQ(choice.timed, static_cast<int>(valley.timed.size()));
    }
  }
}

TEST(ShareSearch, KeepsToItsLimitAndLeavesWhatFails) {
  const Shares shares{2, 4, 6, 8, 10, 12, 14};
  Valley valley{.best = 14};
  const ShareChoice choice = search_share(shares, 2, 3, std::ref(valley));
  EXPECT_EQ(choice.share, 6);
  EXPECT_EQ(choice.timed, 3);
  const auto fails = [](int share) { return share == 8 ? 50.0 : std::numeric_limits<double>::infinity(); };
  EXPECT_EQ(search_share(shares, 8, 9, fails).share, 8);
  EXPECT_THROW(search_share(shares, 3, 9, fails), Error);
}

TEST(DeviceShare, GivesItsShareToEveryLaunch) {
  FakeDevice whole;
  whole.mutable_info().fingerprint.sm_count = 16;
  DeviceShare share(whole, 6);
  EXPECT_EQ(share.info().fingerprint.sm_count, 6);
  std::vector<Launch> launches(2);
  launches[1].stream = 1;
  share.capture(launches);
  ASSERT_EQ(whole.captured.size(), 2u);
  for (const Launch& launch : whole.captured) EXPECT_EQ(launch.share, (StreamShare{.sms = 6}));
}

}  // namespace
}  // namespace duet
