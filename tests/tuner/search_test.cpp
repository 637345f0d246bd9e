#include "tuner/search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "base/error.h"

namespace duet {
namespace {

// 4 x 4 configurations; the best is (2, 1), the model thinks (0, 0).
SearchPoints grid() {
  SearchPoints points;
  for (int a = 0; a < 4; ++a)
    for (int b = 0; b < 4; ++b) points.push_back({.parameters = {{"a", a}, {"b", b}}, .predicted_us = 10.0 + a + b});
  return points;
}
double true_time(const SearchPoint& point) {
  return 1.0 + std::abs(point.parameters[0].second - 2) + std::abs(point.parameters[1].second - 1);
}

std::vector<std::size_t> all_proposals(const std::string& name, std::uint64_t seed) {
  const SearchPoints space = grid();
  const auto strategy = make_strategy(name, space, seed);
  std::vector<std::size_t> proposals;
  while (const auto index = strategy->propose()) {
    proposals.push_back(*index);
    strategy->report(*index, {.valid = true, .time_us = true_time(space[*index])});
  }
  return proposals;
}

TEST(Search, EveryStrategyTriesEachConfigurationOnce) {
  for (std::string_view name : strategy_names()) {
    const auto proposals = all_proposals(std::string(name), 3);
    EXPECT_EQ(proposals.size(), 16u) << name;
    EXPECT_EQ(std::set<std::size_t>(proposals.begin(), proposals.end()).size(), 16u) << name;
  }
}

TEST(Search, RandomFollowsItsSeed) {
  EXPECT_EQ(all_proposals("random", 5), all_proposals("random", 5));
  EXPECT_NE(all_proposals("random", 5), all_proposals("random", 6));
}

TEST(Search, ModelOrderIsByPrediction) {
  const SearchPoints space = grid();
  const auto proposals = all_proposals("model_order", 1);
  EXPECT_TRUE(std::is_sorted(proposals.begin(), proposals.end(), [&](std::size_t a, std::size_t b) {
    return space[a].predicted_us < space[b].predicted_us;
  }));
}

TEST(Search, DescentReachesTheBestBeforeMostOfTheSpace) {
  const auto proposals = all_proposals("descent", 1);
  const auto found = std::find(proposals.begin(), proposals.end(), std::size_t{9});
  EXPECT_LT(found - proposals.begin(), 12);
}

TEST(Search, InvalidResultsDoNotAttractDescent) {
  const auto strategy = make_strategy("descent", grid(), 1);
  for (int i = 0; i < 16; ++i) {
    const auto index = strategy->propose();
    ASSERT_TRUE(index);
    strategy->report(*index, {});
  }
  EXPECT_FALSE(strategy->propose());
}

// As the tuner does, to keep the compilers busy; and results that never come, of what it settled without the strategy.
TEST(Search, ProposalsRunAheadOfResults) {
  const SearchPoints space = grid();
  for (std::string_view name : strategy_names()) {
    const auto strategy = make_strategy(name, space, 2);
    std::set<std::size_t> proposals;
    for (int round = 0; round < 4; ++round) {
      std::vector<std::size_t> ahead;
      for (int i = 0; i < 4; ++i) ahead.push_back(strategy->propose().value());
      proposals.insert(ahead.begin(), ahead.end());
      for (std::size_t i = 1; i < ahead.size(); ++i)
        strategy->report(ahead[i], {.valid = i != 2, .time_us = true_time(space[ahead[i]])});
    }
    EXPECT_EQ(proposals.size(), 16u) << name;
    EXPECT_FALSE(strategy->propose()) << name;
  }
}

TEST(Search, ThePortfolioBeginsWithTheBestPredicted) { EXPECT_EQ(all_proposals("portfolio", 4).front(), 0u); }

// 8 x 8 configurations; the model is right but for one value of b, which takes twice what it says.
TEST(Search, ResidualsLeadAwayFromWhereTheModelIsWrong) {
  constexpr int kWrong = 2;
  SearchPoints space;
  for (int a = 0; a < 8; ++a)
    for (int b = 0; b < 8; ++b)
      space.push_back({.parameters = {{"a", a}, {"b", b}}, .predicted_us = 100.0 + a + 5 * std::abs(b - kWrong)});
  const auto trials_on_the_wrong_value = [&](const char* name) {
    const auto strategy = make_strategy(name, space, 1);
    int wrong = 0;
    for (int trial = 0; trial < 16; ++trial) {
      const std::size_t index = strategy->propose().value();
      const bool is_wrong = space[index].parameters[1].second == kWrong;
      wrong += is_wrong ? 1 : 0;
      strategy->report(index, {.valid = true, .time_us = space[index].predicted_us * (is_wrong ? 2 : 1)});
    }
    return wrong;
  };
  EXPECT_EQ(trials_on_the_wrong_value("model_order"), 8);
  EXPECT_LE(trials_on_the_wrong_value("surrogate"), 5);
  EXPECT_LE(trials_on_the_wrong_value("portfolio"), 5);
}

TEST(Search, PredictionsThatSayNothingAreNoObstacle) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  for (const std::vector<double>& predicted : {std::vector<double>{kInfinite, kInfinite, kInfinite},
                                               std::vector<double>{5, 0, kInfinite}, std::vector<double>{5, 5, 5}}) {
    SearchPoints space;
    for (std::size_t i = 0; i < predicted.size(); ++i)
      space.push_back({.parameters = {{"a", static_cast<int>(i)}}, .predicted_us = predicted[i]});
    for (const char* name : {"surrogate", "portfolio"}) {
      const auto strategy = make_strategy(name, space, 1);
      std::set<std::size_t> proposals;
      while (const auto index = strategy->propose()) {
        proposals.insert(*index);
        strategy->report(*index, {.valid = *index != 0, .time_us = 1.0 + static_cast<double>(*index)});
      }
      EXPECT_EQ(proposals.size(), 3u) << name;
    }
  }
}

TEST(Search, EmptySpaceHasNothingToPropose) {
  for (std::string_view name : strategy_names()) EXPECT_FALSE(make_strategy(name, {}, 1)->propose()) << name;
}

TEST(Search, UnknownNameListsTheNames) {
  try {
    make_strategy("luck", {}, 1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_NE(std::string(error.what()).find("exhaustive, random, model_order, descent"), std::string::npos);
  }
}

}  // namespace
}  // namespace duet
