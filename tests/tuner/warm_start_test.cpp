#include "tuner/warm_start.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/support/sample_plan.h"
#include "tests/support/temp_dir.h"

namespace duet {
namespace {

constexpr const char* kProblem = "gemm f16 m=50 n=768 k=768 bias";

class Store : public ::testing::Test {
 protected:
  void record(const std::string& device, const std::string& problem, const std::string& config, double median_us,
              double predicted_us = 0, Provenance provenance = Provenance::measured) {
    CandidateRecord record;
    record.device = device;
    record.problem = problem;
    record.config = config;
    record.source_hash = "hash of " + config;
    record.status = "ok";
    record.provenance = provenance;
    record.median_us = median_us;
    record.predicted_us = predicted_us;
    record.samples_us = {median_us};
    store_.record(record);
  }
  // Of candidates "0", "1", ... with these predictions here.
  std::vector<std::size_t> order(const std::string& device, const std::vector<double>& predicted_us,
                                 std::size_t most = 10) {
    std::vector<std::string> configs;
    for (std::size_t i = 0; i < predicted_us.size(); ++i) configs.push_back(std::to_string(i));
    return warm_order(KnownSpaces(store_).of(kProblem, device), configs, predicted_us, most);
  }
  // Those that are known, by config.
  std::vector<std::string> known(const std::string& device) {
    std::vector<std::string> configs;
    for (const KnownSpace& space : KnownSpaces(store_).of(kProblem, device))
      for (const KnownCandidate& candidate : space.candidates) configs.push_back(candidate.config);
    std::sort(configs.begin(), configs.end());
    return configs;
  }

  TempDir folder_;
  PlanStore store_ = PlanStore::open(folder_ / "plans.db", PlanStore::Mode::tune);
};

using Order = std::vector<std::size_t>;
using Configs = std::vector<std::string>;

TEST_F(Store, OnlyWhatWasTimedElsewhereIsKnown) {
  record("a", kProblem, "1", 10);
  record("a", kProblem, "3", 10);
  record("a", kProblem, "5", 10, 0, Provenance::emulated);
  record("here", kProblem, "2", 1);  // the tuner knows this itself
  record("a", kProblem, "another tile", 1);
  EXPECT_EQ(known("here"), (Configs{"1", "3", "another tile"}));
  EXPECT_EQ(order("here", {9, 8, 7, 6}), (Order{3, 2, 1, 0}));  // by the prediction, where there was none elsewhere
  EXPECT_EQ(order("here", {9, 8, 7, 6}, 2), (Order{3, 2}));
  EXPECT_EQ(order("here", {9}), Order{});  // nothing is known of it
}

// Twice as slow as predicted elsewhere counts as 1.41 times here; being off as all others is no news.
TEST_F(Store, WhereTheModelWasWrongElsewhereItIsHalfBelieved) {
  record("a", kProblem, "0", 20, 5);
  record("a", kProblem, "1", 20, 10);
  record("a", kProblem, "2", 20, 10);
  record("a", kProblem, "3", 20, 10);
  record("a", kProblem, "9", 2, 1);
  EXPECT_EQ(order("here", {1, 1.3, 5, 5}), (Order{1, 0, 2, 3}));
  EXPECT_EQ(order("here", {1, 1.5, 5, 5}), (Order{0, 1, 2, 3}));
  // A second device on which the model was right: the mean of both.
  for (const char* config : {"0", "1", "2", "3"}) record("b", kProblem, config, 7, 7);
  record("b", kProblem, "9", 6, 6);
  EXPECT_EQ(order("here", {1, 1.3, 5, 5}), (Order{0, 1, 2, 3}));
}

TEST_F(Store, WhatWasBestElsewhereGoesFirst) {
  record("a", kProblem, "2", 3, 1);
  record("a", kProblem, "1", 4, 4);
  EXPECT_EQ(order("here", {1, 2, 9}), (Order{2, 0, 1}));
}

// What is best for another shape is not tried before what the model prefers.
TEST_F(Store, TheBestOfAnotherShapeIsCorrectedOnly) {
  record("a", "gemm f16 m=64 n=768 k=768 bias", "2", 3, 1);
  record("a", "gemm f16 m=64 n=768 k=768 bias", "1", 12, 1);
  EXPECT_EQ(order("here", {2, 2, 9}), (Order{0, 1, 2}));
  EXPECT_EQ(order("here", {4, 2, 3}), (Order{2, 1, 0}));
}

// A shipped plan has no candidates: its choices, those of the whole plan and of each kernel alone, are what is known.
TEST_F(Store, APlansChoicesAreKnownWithoutCandidates) {
  Plan plan = sample_plan();
  plan.provenance = Provenance::measured;
  plan.choices = {{.device = "a", .problem = kProblem, .config = "2", .steps = {0}, .alone_config = "1"}};
  store_.put(plan);
  EXPECT_EQ(known("here"), (Configs{"1", "2"}));
  EXPECT_EQ(order("here", {5, 8, 7}), (Order{2, 1, 0}));
  record("b", kProblem, "0", 3, 1);  // a store with candidates needs no choices
  EXPECT_EQ(known("here"), Configs{"0"});
}

TEST_F(Store, WithoutTheProblemTheNearestShapeCounts) {
  record("a", "gemm f16 m=400 n=768 k=768 bias", "2", 1);
  record("a", "gemm f16 m=64 n=768 k=768 bias", "3", 1);
  record("here", "gemm f16 m=77 n=768 k=768 bias", "4", 1);
  record("a", "attention f16 batch=1 heads=12 queries=50 keys=50 head_dim=64", "5", 1);
  record("a", "gemm f16 m=50 n=8 k=8 bias", "6", 1);  // too far
  EXPECT_EQ(known("here"), Configs{"3"});
  record("here", "gemm f16 m=51 n=768 k=768 bias", "7", 1);
  EXPECT_EQ(known("here"), Configs{"7"});
  record("a", kProblem, "8", 1);
  EXPECT_EQ(known("here"), Configs{"8"});
  EXPECT_EQ(known("a"), Configs{"7"});
}

TEST_F(Store, OfNothingKnownComesNothing) { EXPECT_TRUE(known("here").empty()); }

TEST(ProblemDistance, GrowsWithSizesAndOperations) {
  const auto far = [](const char* other) { return problem_distance(kProblem, other); };
  EXPECT_EQ(far(kProblem), 0);
  EXPECT_NEAR(*far("gemm f16 m=100 n=768 k=768 bias"), std::log(2), 1e-12);
  EXPECT_NEAR(*far("gemm f16 m=25 n=768 k=768 bias"), std::log(2), 1e-12);
  EXPECT_NEAR(*far("gemm f16 m=50 n=768 k=768 batch=2 bias"), std::log(2), 1e-12);
  EXPECT_GT(*far("gemm bf16 m=50 n=768 k=768"), *far("gemm f16 m=50 n=768 k=768"));
  EXPECT_EQ(far("head f16 to f32 batch=1"), std::nullopt);
  EXPECT_EQ(problem_distance("embedding f16 tokens=7 vocabulary=5", "embedding f16 tokens=7 vocabulary=50000"), 0);
}

// Proposes 0, 1, 2, ... and remembers what it is told.
class Counting : public SearchStrategy {
 public:
  Counting(std::size_t count, std::vector<std::size_t>& told) : count_(count), told_(told) {}
  std::optional<std::size_t> propose() override { return next_ < count_ ? std::optional(next_++) : std::nullopt; }
  void report(std::size_t index, const SearchResult&) override { told_.push_back(index); }

 private:
  std::size_t count_, next_ = 0;
  std::vector<std::size_t>& told_;
};

TEST(WarmStrategy, EachOnceTheWarmOnesFirst) {
  std::vector<std::size_t> told, proposed;
  WarmStrategy strategy({3, 1}, std::make_unique<Counting>(5, told));
  while (const auto index = strategy.propose()) {
    proposed.push_back(*index);
    strategy.report(*index, {.valid = *index != 3, .time_us = 10.0 - static_cast<double>(*index)});
  }
  EXPECT_EQ(proposed, (std::vector<std::size_t>{3, 1, 0, 2, 4}));
  EXPECT_EQ(told, proposed);
  EXPECT_EQ(strategy.first_count(), 2);
  EXPECT_EQ(strategy.best_first_us(), 9);  // 3 failed, 4 was not among the first
}

TEST(WarmStrategy, WithoutWarmOnesIsTheOther) {
  std::vector<std::size_t> told;
  WarmStrategy strategy({}, std::make_unique<Counting>(2, told));
  EXPECT_EQ(strategy.propose(), 0u);
  strategy.report(0, {.valid = true, .time_us = 1});
  EXPECT_EQ(strategy.best_first_us(), std::nullopt);
}

}  // namespace
}  // namespace duet
