// Replaying recorded spaces: how they are read, what a score is, and that every strategy finds more than chance does.
#include "tuner/replay.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "base/error.h"
#include "base/file.h"
#include "base/gzip.h"
#include "tests/support/temp_dir.h"

namespace duet {
namespace {

std::string refusal(const std::string& csv) {
  try {
    parse_replayed_space(csv, "s.csv");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::input);
    return error.what();
  }
  ADD_FAILURE() << "accepted: " << csv;
  return "";
}

// Times 1 to `count` ms, each at a cost of 1 s.
ReplayedSpace ladder(int count) {
  std::string csv = "a,time_ms,cost_s\n";
  for (int i = 1; i <= count; ++i) csv += std::to_string(i) + "," + std::to_string(i) + ",1\n";
  return parse_replayed_space(csv, "ladder");
}

// ---- reading

TEST(ReplayedSpace, ParametersAreTheColumnsBeforeTheTime) {
  const ReplayedSpace space = parse_replayed_space(
      "layout,tile,scale,time_ms,cost_s,status,registers\r\nrow,8,0.5,2.5,1,ok,32\r\ncol,16,2,,3,\"bad, "
      "\"\"x\"\"\ny\",\r\n"
      "row,16,1,4,,ok,64\n",
      "s");
  EXPECT_EQ(space.parameters, (std::vector<std::string>{"layout", "tile", "scale"}));
  EXPECT_EQ(space.time_ms, (std::vector<double>{2.5, 0, 4}));
  EXPECT_EQ(space.cost_s, (std::vector<double>{1, 3, 2}));  // the one not recorded: the median of those that were
  using Parameters = std::vector<std::pair<std::string, int>>;
  EXPECT_EQ(space.points[0].parameters, (Parameters{{"layout", 1}, {"tile", 8}, {"scale", 0}}));
  EXPECT_EQ(space.points[1].parameters, (Parameters{{"layout", 0}, {"tile", 16}, {"scale", 2}}));
}

TEST(ReplayedSpace, RefusalsNameFileLineAndValue) {
  EXPECT_NE(refusal("").find("no column time_ms"), std::string::npos);
  EXPECT_NE(refusal("a,b\n1,2\n").find("no column time_ms"), std::string::npos);
  EXPECT_NE(refusal("a,time_ms\n1,2\n").find("no column cost_s"), std::string::npos);
  EXPECT_NE(refusal("time_ms,cost_s\n1,2\n").find("no parameter"), std::string::npos);
  EXPECT_NE(refusal("a,time_ms,cost_s\n").find("no row"), std::string::npos);
  EXPECT_NE(refusal("a,time_ms,cost_s\n1,,2\n").find("is empty"), std::string::npos);
  EXPECT_NE(refusal("a,time_ms,cost_s\n1,2,0\n").find("cost_s is 0"), std::string::npos);
  EXPECT_EQ(refusal("a,time_ms,cost_s\n1,2,3\n1,nan,3\n"), "s.csv:3: time_ms 'nan' is no finite number");
  EXPECT_EQ(refusal("a,time_ms,cost_s\n1,2,inf\n"), "s.csv:2: cost_s 'inf' is no finite number");
  EXPECT_EQ(refusal("a,time_ms,cost_s\n1,-2,3\n"), "s.csv:2: time_ms '-2' is not above 0");
  EXPECT_EQ(refusal("a,time_ms,cost_s\n1,2,-3\n"), "s.csv:2: cost_s '-3' is negative");
  EXPECT_EQ(refusal("a,time_ms,cost_s\n1,2\n"), "s.csv:2: has 2 cells, the header has 3");
}

TEST(ReplayedSpace, AFileIsReadPackedAndPlain) {
  const TempDir folder;
  const std::string csv = "a,time_ms,cost_s\n1,2,3\n";
  publish_file(folder.path() / "one.csv.gz", gzip(csv));
  publish_file(folder.path() / "two.csv", csv);
  EXPECT_EQ(read_replayed_space(folder.path() / "one.csv.gz").name, "one");
  EXPECT_EQ(read_replayed_space(folder.path() / "two.csv").time_ms, std::vector<double>{2});
}

TEST(ReplayedSpace, ADamagedFileIsRefused) {
  const TempDir folder;
  const std::vector<std::byte> packed = gzip("a,time_ms,cost_s\n1,2,3\n");
  for (const std::size_t bytes : {std::size_t{2}, std::size_t{12}, packed.size() - 1}) {
    publish_file(folder.path() / "cut.csv.gz", std::span(packed).first(bytes));
    EXPECT_THROW(read_replayed_space(folder.path() / "cut.csv.gz"), Error) << bytes;
  }
  publish_file(folder.path() / "bomb.csv.gz", gzip(std::string((std::size_t{1} << 26) + 1, '\n')));
  EXPECT_THROW(read_replayed_space(folder.path() / "bomb.csv.gz"), Error);
}

// ---- the score; expected values by hand, of 11 times: median 6, within 95% of the way only the optimum

TEST(ReplayScore, BudgetIsWhatRandomSearchNeeds) {
  const ReplayScorer scorer(ladder(11));
  EXPECT_EQ(scorer.optimum_ms(), 1);
  EXPECT_EQ(scorer.budget_trials(), 3);  // i = 9: ceil(9 / (11 + 1 - 9))
  EXPECT_DOUBLE_EQ(scorer.budget_s(), 3.3);
}

TEST(ReplayScore, RandomSearchIsJoinedByPchip) {
  const ReplayScorer scorer(ladder(11));
  EXPECT_DOUBLE_EQ(scorer.random_search_ms(0), 5);
  EXPECT_DOUBLE_EQ(scorer.random_search_ms(1), 5);  // the 6th of 11, from the slowest
  EXPECT_DOUBLE_EQ(scorer.random_search_ms(2), 3);
  EXPECT_DOUBLE_EQ(scorer.random_search_ms(3), 2);
  EXPECT_NEAR(scorer.random_search_ms(1.5), 4 + (-2.5 + 4.0 / 3) / 8, 1e-12);
  EXPECT_NEAR(scorer.random_search_ms(2.5), 2.5 + (-4.0 / 3 + 0.5) / 8, 1e-12);
}

TEST(ReplayScore, FailuresMakeRandomSearchSlower) {
  ReplayedSpace space = ladder(11);
  space.time_ms.push_back(0);
  space.cost_s.push_back(12);
  EXPECT_DOUBLE_EQ(ReplayScorer(space).random_search_ms(4), 3);  // 1 s + 1/12 of 12 s a trial
}

TEST(ReplayScore, TheOptimumAtOnceIsOneAndNothingIsWorseThanRandom) {
  const ReplayScorer scorer(ladder(11));
  EXPECT_DOUBLE_EQ(scorer.score({{{.time_ms = 1, .cost_s = 1}}}), 1);
  EXPECT_LT(scorer.score({{{.time_ms = std::nullopt, .cost_s = 1}}}), -1);
}

TEST(ReplayScore, RepeatsAreAveragedByRank) {
  const ReplayScorer scorer(ladder(11));
  const ReplayTrace best{{.time_ms = 1, .cost_s = 1}}, third{{.time_ms = 3, .cost_s = 1}};
  double expected = 0;  // ranks 0 and 2: the time of rank 1
  for (int step = 0; step < 1000; ++step) {
    const double random_ms = scorer.random_search_ms(1 + 2 * step / 999.0);
    expected += (2 - random_ms) / (1 - random_ms) / 1000;
  }
  EXPECT_NEAR(scorer.score({best, third}), expected, 1e-12);
}

TEST(ReplayScore, AResultCountsOnceItsCostIsPaid) {
  const ReplayScorer scorer(ladder(11));
  const ReplayTrace slow{{.time_ms = 5, .cost_s = 1}, {.time_ms = 1, .cost_s = 1}};
  const ReplayTrace late{{.time_ms = 5, .cost_s = 1}, {.time_ms = 1, .cost_s = 1.9}};
  EXPECT_GT(scorer.score({slow}), scorer.score({late}) + 0.3);
}

TEST(ReplayScore, SpacesOfOneTimeAreNoDivisionByZero) {
  EXPECT_TRUE(std::isfinite(ReplayScorer(ladder(1)).score({{}})));
  EXPECT_TRUE(std::isfinite(ReplayScorer(parse_replayed_space("a,time_ms,cost_s\n1,2,1\n2,2,1\n", "s")).score({{}})));
}

// Of nine, random search is expected to have the best with the third trial: no score may grow without bound there.
TEST(ReplayScore, WhereRandomSearchIsAtTheOptimumAMissIsZero) {
  const double missed = ReplayScorer(ladder(9)).score({{{.time_ms = 2, .cost_s = 1}}});
  EXPECT_LT(missed, 1);
  EXPECT_GT(missed, -1e3);
}

// ---- strategies on a space of 1296 configurations, with a valley, interactions and failures

struct Axis {
  const char* name;
  int place;  // among the columns
};

double valley_ms(int a, int b, int c, int d, int e, int f) {
  if (a * b > 16 || (e == 1 && d == 3)) return 0;
  const double fit = std::abs(a * 2 - b) + 1.5 * std::abs(c - 1 - e) + (f == 2 ? 0 : 0.8) + 0.6 * std::abs(d - 2);
  return 1 + fit * fit / 20 + 0.15 * fit + 0.01 * ((a * 7 + b * 5 + c * 3 + d) % 11);
}

ReplayedSpace valley(bool renamed) {
  std::string csv = renamed ? "q,p,u,t,s,r,time_ms,cost_s\n" : "a,b,c,d,e,f,time_ms,cost_s\n";
  std::vector<std::string> rows;
  for (int i = 0; i < 6 * 6 * 3 * 4 * 2 * 3; ++i) {
    const int a = i % 6, b = i / 6 % 6, c = i / 36 % 3, d = i / 108 % 4, e = i / 432 % 2, f = i / 864;
    const double ms = valley_ms(a, b, c, d, e, f);
    const std::string result = (ms > 0 ? std::to_string(ms) : "") + ",0.5\n";
    const auto row = [](const std::vector<int>& values) {
      return std::accumulate(values.begin(), values.end(), std::string(),
                             [](const std::string& text, int value) { return text + std::to_string(value) + ","; });
    };
    rows.push_back((renamed ? row({f, e, d, c, 100 * b, 1 << a}) : row({a, b, c, d, e, f})) + result);
  }
  if (renamed) std::reverse(rows.begin(), rows.end());
  for (const std::string& line : rows) csv += line;
  return parse_replayed_space(csv, "valley");
}

double score_of(const ReplayedSpace& space, std::string_view strategy) {
  return replay(space, strategy, 6, 3, [](int) { return true; })->score;
}

TEST(Replay, EveryStrategyThatLearnsBeatsChance) {
  const ReplayedSpace space = valley(false);
  const double random = score_of(space, "random");
  for (const std::string_view name :
       {"local", "elite", "annealing", "genetic", "differential_evolution", "surrogate", "portfolio"})
    EXPECT_GT(score_of(space, name), random + 0.1) << name;
}

// A model that is right to within a fifth is followed; one that is wrong altogether costs some trials and no more.
TEST(Replay, ThePortfolioFollowsAModelAsFarAsItHelps) {
  constexpr double kFailed = 3000;  // to the model one of many
  const ReplayedSpace blind = valley(false);
  const auto with_model = [&](const std::function<double(double time_us)>& predicted) {
    ReplayedSpace space = blind;
    for (std::size_t i = 0; i < space.points.size(); ++i)
      space.points[i].predicted_us = predicted(space.time_ms[i] > 0 ? 1000 * space.time_ms[i] : kFailed) *
                                     (1 + 0.2 * static_cast<double>(i * 7919 % 101) / 100);
    return space;
  };
  const double unaided = score_of(blind, "portfolio");
  EXPECT_GT(score_of(with_model([](double time_us) { return time_us; }), "portfolio"), unaided + 0.05);
  EXPECT_GT(score_of(with_model([](double time_us) { return 1e9 / time_us; }), "portfolio"), unaided - 0.35);
}

TEST(Replay, NamesAndOrderOfTheFileDoNotMatter) {
  const double score = score_of(valley(false), "portfolio");
  EXPECT_GT(score, 0.4);
  EXPECT_NEAR(score_of(valley(true), "portfolio"), score, 0.15);
}

TEST(Replay, ASeedMeansOneRun) {
  const ReplayedSpace space = valley(false);
  const auto times = [&](std::string_view strategy, std::uint64_t seed) {
    std::vector<double> found;
    for (const ReplayedTrial& trial : replay_once(space, 30, strategy, seed))
      found.push_back(trial.time_ms.value_or(0));
    return found;
  };
  for (const std::string_view name : strategy_names()) EXPECT_EQ(times(name, 5), times(name, 5)) << name;
  EXPECT_NE(times("portfolio", 5), times("portfolio", 6));
}

TEST(Replay, EndsEarlierTheMoreMustBeGainedAndFindsAsMuch) {
  const ReplayedSpace space = valley(false);
  const auto best = [](const ReplayTrace& trace) {
    double found = 1e9;
    for (const ReplayedTrial& trial : trace) found = std::min(found, trial.time_ms.value_or(found));
    return found;
  };
  const ReplayTrace all = replay_once(space, 1e6, "portfolio", 1);
  const ReplayTrace some = replay_once(space, 1e6, "portfolio", 1, 0.02);
  const ReplayTrace few = replay_once(space, 1e6, "portfolio", 1, 0.2);
  EXPECT_LT(few.size(), some.size());
  EXPECT_LT(some.size(), all.size());
  EXPECT_LE(best(some), 1.01 * best(all));
}

TEST(Replay, EndsWithTheBudgetOrTheSpace) {
  const ReplayedSpace space = valley(false);
  EXPECT_EQ(replay_once(space, 10, "portfolio", 1).size(), 20u);
  EXPECT_EQ(replay_once(ladder(5), 1000, "portfolio", 1).size(), 5u);
  EXPECT_FALSE(replay(space, "random", 3, 1, [](int repeat) { return repeat < 2; }));
}

}  // namespace
}  // namespace duet
