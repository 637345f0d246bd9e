#include "tuner/choice_report.h"

#include <gtest/gtest.h>

#include "tests/support/sample_plan.h"
#include "tests/support/temp_dir.h"
#include "tuner/search_mark.h"

namespace duet {
namespace {

class Choice : public testing::Test {
 protected:
  Choice() : store_(PlanStore::open(folder_ / "plans.db", PlanStore::Mode::tune)) {
    plan_.choices.resize(1);
    plan_.choices[0].config = "chosen";
  }

  void record(const std::string& config, double median_us, const std::string& status = "ok",
              const std::string& source_hash = "feedbeef") {
    CandidateRecord candidate{.device = plan_.choices[0].device,
                              .problem = plan_.choices[0].problem,
                              .config = config,
                              .source_hash = source_hash,
                              .status = status,
                              .provenance = median_us > 0 ? Provenance::measured : Provenance::predicted,
                              .median_us = median_us,
                              .predicted_us = 7};
    for (int i = 0; median_us > 0 && i < 11; ++i) candidate.samples_us.push_back(median_us + 0.1 * (i - 5));
    store_.record(candidate);
  }
  ChoiceReport report() const { return explain_choices(plan_, store_).at(0); }

  TempDir folder_;
  PlanStore store_;
  Plan plan_ = sample_plan();
};

// Within a round times are equal, from round to round the clock drifts: only the rounds tell how sure the median is.
TEST_F(Choice, AnIntervalOfARaceIsOfItsRounds) {
  CandidateRecord raced{.device = plan_.choices[0].device,
                        .problem = plan_.choices[0].problem,
                        .config = "chosen",
                        .source_hash = "feedbeef",
                        .status = "ok",
                        .detail = mark_text({.race = "1f2e3d4c", .won = true, .strategy = "portfolio"}),
                        .provenance = Provenance::measured,
                        .median_us = 10};
  for (int round = 0; round < 7; ++round)
    for (int i = 0; i < 5; ++i) raced.samples_us.push_back(9.7 + 0.1 * round);
  store_.record(raced);
  EXPECT_NEAR(report().chosen->interval.low, 9.8, 0.11);
  EXPECT_NEAR(report().chosen->interval.high, 10.2, 0.11);
  const double raced_width = report().chosen->interval.high - report().chosen->interval.low;
  raced.detail.clear();
  store_.record(raced);
  EXPECT_LT(report().chosen->interval.high - report().chosen->interval.low, raced_width);
}

TEST_F(Choice, ShowsTheNextOnesWithTheirIntervals) {
  record("slow", 20);
  record("chosen", 10);
  record("near", 10.2);
  record("broken", 0, "wrong result");
  record("crashed", 0, "crash");
  record("slower", 30);
  record("slowest", 40);
  const ChoiceReport found = report();
  EXPECT_EQ(found.steps, "text.layers.*.qkv");
  ASSERT_TRUE(found.chosen.has_value());
  EXPECT_EQ(found.chosen->time_us, 10);
  EXPECT_EQ(found.chosen->samples, 11);
  EXPECT_LT(found.chosen->interval.low, 10);
  EXPECT_GT(found.chosen->interval.high, 10);
  EXPECT_EQ(found.chosen->provenance, Provenance::measured);
  ASSERT_EQ(found.runners_up.size(), 3u);
  EXPECT_EQ(found.runners_up[0].config, "near");
  EXPECT_TRUE(found.runners_up[0].tie);
  EXPECT_NEAR(found.runners_up[0].slower, 0.02, 1e-9);
  EXPECT_EQ(found.runners_up[1].config, "slow");
  EXPECT_FALSE(found.runners_up[1].tie);
  EXPECT_NEAR(found.runners_up[1].slower, 1, 1e-9);
  EXPECT_EQ(found.outcomes, (std::map<std::string, int>{{"ok", 5}, {"wrong result", 1}, {"crash", 1}}));
}

TEST_F(Choice, AFasterOneAloneIsTold) {
  plan_.choices[0].alone_config = "alone";
  record("chosen", 10);
  record("alone", 8);
  ASSERT_TRUE(report().alone.has_value());
  EXPECT_EQ(report().alone->time_us, 8);
  EXPECT_NEAR(report().runners_up.at(0).slower, -0.2, 1e-9);
}

TEST_F(Choice, PredictionsHaveNoIntervalAndAreNoTies) {
  record("chosen", 0);
  record("other", 0);
  const ChoiceReport found = report();
  ASSERT_TRUE(found.chosen.has_value());
  EXPECT_EQ(found.chosen->provenance, Provenance::predicted);
  EXPECT_EQ(found.chosen->samples, 0);
  EXPECT_EQ(found.chosen->time_us, 7);
  ASSERT_EQ(found.runners_up.size(), 1u);
  EXPECT_FALSE(found.runners_up[0].tie);
  record("chosen", 10);  // timed later: a prediction is no rival any more
  EXPECT_TRUE(report().runners_up.empty());
}

TEST_F(Choice, OfATileTheLastSourceCounts) {
  record("chosen", 10);
  record("next", 5, "ok", "older source");
  record("next", 11);
  ASSERT_EQ(report().runners_up.size(), 1u);
  EXPECT_EQ(report().runners_up[0].time_us, 11);
}

TEST_F(Choice, WhatCannotRunIsCountedOnce) {
  const auto count = [&](const std::string& space, int candidates) {
    const std::vector<InfeasibleCount> counts{{space, "too many threads", candidates}};
    store_.record_infeasible(plan_.choices[0].device, plan_.choices[0].problem, space, counts);
  };
  count("quick", 3);
  count("wide", 8);
  EXPECT_EQ(report().infeasible, (std::map<std::string, int>{{"too many threads", 8}}));
}

TEST_F(Choice, WithoutItsRowThereIsNoTime) {
  EXPECT_FALSE(report().chosen.has_value());
  EXPECT_TRUE(report().runners_up.empty());
}

}  // namespace
}  // namespace duet
