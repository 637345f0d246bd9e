#include "runtime/plan_match.h"

#include <gtest/gtest.h>

#include "tests/support/sample_plan.h"

namespace duet {
namespace {

PlanSummary summary(std::int64_t id, PlanKey key, Provenance provenance = Provenance::measured) {
  return {.id = id, .key = std::move(key), .provenance = provenance};
}

class PlanMatching : public testing::Test {
 protected:
  PlanKey with(auto change) const {
    PlanKey key = key_;
    change(key);
    return key;
  }
  PlanKey key_ = sample_plan().key;
};

TEST_F(PlanMatching, PrefersTheSameKey) {
  const auto other_mode = with([](PlanKey& k) { k.device.power_mode = "15W"; });
  const MatchedPlan choice = match_plan(key_, {summary(1, other_mode), summary(2, key_), summary(3, other_mode)});
  EXPECT_EQ(choice.kind, MatchKind::exact);
  EXPECT_EQ(choice.id, 2);
}

TEST_F(PlanMatching, NamesWhatDiffersInTheMode) {
  const auto far = with([](PlanKey& k) {
    k.device.power_mode = "10W";
    k.device.sm_clock_mhz = 600;
  });
  const auto near = with([](PlanKey& k) { k.device.power_mode = "15W"; });
  const MatchedPlan choice = match_plan(key_, {summary(1, near), summary(2, far)});
  EXPECT_EQ(choice.kind, MatchKind::other_mode);
  EXPECT_EQ(choice.id, 1);
  EXPECT_EQ(choice.why, "same module, power mode 15W instead of 25W");
}

TEST_F(PlanMatching, PrefersMeasuredThenNewer) {
  const auto mode = with([](PlanKey& k) { k.device.power_mode = "15W"; });
  EXPECT_EQ(match_plan(key_, {summary(1, mode), summary(2, mode, Provenance::predicted)}).id, 1);
  EXPECT_EQ(match_plan(key_, {summary(1, mode), summary(2, mode)}).id, 2);
}

TEST_F(PlanMatching, PrefersTheFasterOfEquallyFirmPlans) {
  std::vector<PlanSummary> stored{summary(1, key_), summary(2, key_), summary(3, key_)};
  stored[0].latency_us = 5;
  stored[1].latency_us = 7;  // the third has none
  EXPECT_EQ(match_plan(key_, stored).id, 1);
}

TEST_F(PlanMatching, TakesTheNearestBatch) {
  const auto batch = [&](int value) { return with([&](PlanKey& k) { k.batch = value; }); };
  const MatchedPlan choice = match_plan(key_, {summary(1, batch(8)), summary(2, batch(1)), summary(3, batch(16))});
  EXPECT_EQ(choice.kind, MatchKind::other_batch);
  EXPECT_EQ(choice.id, 2);
  EXPECT_EQ(choice.why, "same module, batch 1 instead of 2");
}

TEST_F(PlanMatching, NamesTheModeBesideTheBatch) {
  const auto other = with([](PlanKey& k) {
    k.batch = 8;
    k.device.power_mode = "15W";
    k.device.driver_version = 13000;
  });
  EXPECT_EQ(match_plan(key_, {summary(1, other)}).why,
            "same module, batch 8 instead of 2, power mode 15W instead of 25W, driver 13000 instead of 12060");
}

TEST_F(PlanMatching, PrefersAnotherDeviceOfTheSameArchitecture) {
  const auto thor = with([](PlanKey& k) { k.device.module = "Jetson Thor", k.device.arch = "sm_110"; });
  const auto nano = with([](PlanKey& k) { k.device.module = "Jetson Orin Nano"; });
  const MatchedPlan choice = match_plan(key_, {summary(1, thor), summary(2, nano)});
  EXPECT_EQ(choice.kind, MatchKind::other_device);
  EXPECT_EQ(choice.id, 2);
  EXPECT_EQ(choice.why, "made for Jetson Orin Nano (sm_87) instead of Jetson Orin NX 16GB (sm_87)");
}

TEST_F(PlanMatching, ASliceIsAnotherDevice) {
  const auto slice = with([](PlanKey& k) {
    k.device.target = "auto/4sm";
    k.device.module += ", 4 of 8 SMs";
    k.device.sm_count = 4;
  });
  EXPECT_EQ(match_plan(key_, {summary(1, slice)}).kind, MatchKind::other_device);
  EXPECT_EQ(match_plan(slice, {summary(1, slice), summary(2, key_)}).id, 1);
}

TEST_F(PlanMatching, SaysWhyThereIsNone) {
  const auto why = [&](const std::vector<PlanSummary>& stored) {
    const MatchedPlan choice = match_plan(key_, stored);
    EXPECT_EQ(choice.kind, MatchKind::none);
    return choice.why;
  };
  EXPECT_EQ(why({}), "the store holds no plan");
  EXPECT_EQ(why({summary(1, with([](PlanKey& k) { k.model = "siglip"; }))}),
            "no plan is for model 'clip-vit-base-patch32'");
  EXPECT_NE(why({summary(1, with([](PlanKey& k) { k.graph_hash = "0"; }))}).find("another version"), std::string::npos);
  EXPECT_NE(why({summary(1, with([](PlanKey& k) { k.precision = Dtype::bf16; }))}).find("precision f16"),
            std::string::npos);
  EXPECT_EQ(
      why({summary(7, with([](PlanKey& k) { k.variant = "baseline", k.device.power_mode = "15W"; }))}),
      "no plan of 'clip-vit-base-patch32' in f16 is of variant 'fused-streams'; the nearest is plan 7: same module, "
      "variant baseline instead of fused-streams, power mode 15W instead of 25W");
}

TEST_F(PlanMatching, ListsTheVariantsThatADeviceHas) {
  const auto variant = [&](const std::string& name) { return with([&](PlanKey& k) { k.variant = name; }); };
  const auto elsewhere = with([](PlanKey& k) {
    k.variant = "fused-paired";
    k.device.module = "Jetson AGX Orin 64GB";
    k.device.sm_count += 8;
  });
  const auto other_mode = with([](PlanKey& k) {
    k.variant = "fused-partition";
    k.device.power_mode = "15W";
  });
  const std::vector<PlanSummary> stored{summary(1, variant("baseline")), summary(2, elsewhere), summary(3, other_mode)};
  const std::vector<std::string> names{"fused-streams", "fused-paired", "fused-partition", "baseline"};
  EXPECT_EQ(variants_here(key_, stored, names), (std::vector<std::string>{"fused-partition", "baseline"}));
  EXPECT_TRUE(variants_here(key_, {}, names).empty());
}

}  // namespace
}  // namespace duet
