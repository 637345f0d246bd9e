// Which plan of a file a device is given.
#include "runtime/plan_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "runtime/text_length.h"

namespace duet {
namespace {

DeviceFingerprint orin(const std::string& power_mode) {
  return {.module = "Jetson Orin NX 16GB", .arch = "sm_87", .sm_count = 8, .power_mode = power_mode};
}

PlanSummary plan(std::int64_t id, int batch, const DeviceFingerprint& device, Provenance provenance, double latency_us,
                 const std::string& variant = "fused-streams") {
  PlanSummary summary;
  summary.id = id;
  summary.key.batch = batch;
  summary.key.variant = variant;
  summary.key.device = device;
  summary.provenance = provenance;
  summary.latency_us = latency_us;
  return summary;
}

TEST(PlanChoice, PrefersThisArchitectureThenBatchThenModeThenProvenanceThenTime) {
  const DeviceFingerprint h100{.module = "H100", .arch = "sm_90"};
  const std::vector<PlanSummary> plans{
      plan(1, 1, h100, Provenance::measured, 1),         plan(2, 2, orin("25W"), Provenance::measured, 2),
      plan(3, 1, orin("MAXN"), Provenance::measured, 3), plan(4, 1, orin("25W"), Provenance::predicted, 4),
      plan(5, 1, orin("25W"), Provenance::measured, 6),  plan(6, 1, orin("25W"), Provenance::measured, 5, "baseline"),
  };
  EXPECT_EQ(choose_plan(plans, orin("25W"), {}).id, 6);
  EXPECT_EQ(choose_plan(plans, orin("25W"), {.variant = "fused-streams"}).id, 5);
  EXPECT_EQ(choose_plan(plans, orin("25W"), {.batch = 2}).id, 2);
  EXPECT_EQ(choose_plan(plans, orin("MAXN"), {}).id, 3);
  EXPECT_EQ(choose_plan(plans, h100, {}).id, 1);
}

TEST(PlanChoice, PrefersThisModuleToASmallerBatch) {
  const DeviceFingerprint nano{.module = "Jetson Orin Nano 8GB", .arch = "sm_87", .sm_count = 8};
  const std::vector<PlanSummary> plans{plan(1, 1, nano, Provenance::measured, 1),
                                       plan(2, 4, orin("25W"), Provenance::predicted, 9)};
  EXPECT_EQ(choose_plan(plans, orin("25W"), {}).id, 2);
  EXPECT_EQ(choose_plan(plans, orin("25W"), {.batch = 1}).id, 1);
}

TEST(PlanChoice, PrefersWhatTuningPreferredToTheFastest) {
  std::vector<PlanSummary> plans{plan(1, 1, orin("25W"), Provenance::measured, 5),
                                 plan(2, 1, orin("25W"), Provenance::measured, 9, "fused-sequential"),
                                 plan(3, 1, orin("15W"), Provenance::measured, 7)};
  plans[1].preferred = plans[2].preferred = true;
  EXPECT_EQ(choose_plan(plans, orin("25W"), {}).id, 2);
  EXPECT_EQ(choose_plan(plans, orin("25W"), {.variant = "fused-streams"}).id, 1);
}

TEST(PlanChoice, TakesAPlanForShorterTextsOnlyWhenNamed) {
  const std::vector<PlanSummary> plans{
      plan(1, 1, orin("25W"), Provenance::measured, 9),
      plan(2, 1, orin("25W"), Provenance::measured, 5, "fused-streams-text16"),
  };
  EXPECT_EQ(choose_plan(plans, orin("25W"), {}).id, 1);
  EXPECT_EQ(choose_plan(plans, orin("25W"), {.variant = "fused-streams-text16"}).id, 2);
}

TEST(TextLength, IsTheEndOfAVariantsName) {
  EXPECT_EQ(text_length_suffix(0), "");
  EXPECT_EQ(text_length_of("fused-partition" + text_length_suffix(24)), 24);
  for (const char* other :
       {"fused-streams", "", "baseline-text", "a-text0", "a-text-3", "a-text12x", "a-text99999999999"})
    EXPECT_EQ(text_length_of(other), 0) << other;
}

TEST(PlanChoice, SaysWhatThereIs) {
  const std::vector<PlanSummary> plans{plan(1, 1, orin("25W"), Provenance::measured, 1)};
  try {
    choose_plan(plans, orin("25W"), {.batch = 4});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::missing);
    EXPECT_THAT(error.what(), testing::HasSubstr("batch 1 fused-streams (sm_87)"));
    EXPECT_THAT(error.what(), testing::HasSubstr("the nearest is plan 1: same module, batch 1 instead of 4; there"));
  }
  EXPECT_THROW(choose_plan({}, orin("25W"), {}), Error);
}

}  // namespace
}  // namespace duet
