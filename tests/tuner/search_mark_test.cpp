#include "tuner/search_mark.h"

#include <gtest/gtest.h>

namespace duet {
namespace {

SearchMark mark(SearchEnd end, double value) {
  return {.race = "1f2e3d4c",
          .won = true,
          .strategy = "portfolio",
          .tried = 412,
          .space = 1282,
          .end = end,
          .end_value = value};
}

TEST(SearchMark, IsReadAsItWasWritten) {
  for (const SearchMark& one : {mark(SearchEnd::all, 0), mark(SearchEnd::limit, 40), mark(SearchEnd::gain, 0.005),
                                mark(SearchEnd::budget, 62.5)}) {
    SearchMark beaten = one;
    beaten.won = false;
    beaten.strategy = "differential_evolution";
    EXPECT_EQ(parse_mark(mark_text(one)), one) << mark_text(one);
    EXPECT_EQ(parse_mark(mark_text(beaten)), beaten) << mark_text(beaten);
  }
  EXPECT_EQ(mark_text(mark(SearchEnd::gain, 0.005)),
            "race 1f2e3d4c: won; search portfolio: 412 of 1282 tried, ended by gain 0.005");
}

TEST(SearchMark, OtherDetailsAreNone) {
  for (const char* detail : {"", "timing given up: clearly slower than the best", "race", "race 1f2e: won",
                             "race 1f2e: won; search portfolio: 4 of 5 tried, ended by magic 1",
                             "race 1f2e: won; search portfolio: x of 5 tried, ended by gain 1"})
    EXPECT_EQ(parse_mark(detail), std::nullopt) << detail;
}

TEST(SearchMark, ASearchThatWentAsFarIsNotRepeated) {
  const SearchMark all = mark(SearchEnd::all, 0), limit = mark(SearchEnd::limit, 412),
                   gain = mark(SearchEnd::gain, 0.005), budget = mark(SearchEnd::budget, 60);
  const std::string strategy = "portfolio";
  EXPECT_TRUE(satisfies(all, {.strategy = strategy}));
  EXPECT_FALSE(satisfies(all, {.strategy = "genetic"}));
  EXPECT_TRUE(satisfies(limit, {.strategy = strategy, .max_candidates = 412}));
  EXPECT_FALSE(satisfies(limit, {.strategy = strategy, .max_candidates = 413}));
  EXPECT_FALSE(satisfies(limit, {.strategy = strategy, .min_gain = 0.01}));
  EXPECT_TRUE(satisfies(gain, {.strategy = strategy, .min_gain = 0.005}));
  EXPECT_TRUE(satisfies(gain, {.strategy = strategy, .max_candidates = 100}));
  EXPECT_FALSE(satisfies(gain, {.strategy = strategy, .min_gain = 0.002}));
  EXPECT_FALSE(satisfies(gain, {.strategy = strategy}));
  EXPECT_TRUE(satisfies(budget, {.strategy = strategy, .min_gain = 0.005, .budget_s = 60}));
  EXPECT_FALSE(satisfies(budget, {.strategy = strategy, .min_gain = 0.005, .budget_s = 90}));
  EXPECT_FALSE(satisfies(budget, {.strategy = strategy, .min_gain = 0.005}));
}

}  // namespace
}  // namespace duet
