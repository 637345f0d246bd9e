#include "tuner/finalists.h"

#include <gtest/gtest.h>

namespace duet {
namespace {

KernelWinner kernel(std::size_t candidate, double time_us, double read_bytes) {
  KernelWinner winner;
  winner.candidate = candidate;
  winner.time_us = time_us;
  winner.read_bytes = read_bytes;
  winner.kernel.tile = GemmTile{};
  return winner;
}

TEST(Finalists, NothingIsMuchSlowerThanTheFastest) {
  Finalists finalists;
  finalists.keep(kernel(0, 10, 5));
  finalists.keep(kernel(1, 10 * kFinalistFactor + 0.1, 1));
  finalists.keep(kernel(2, 9.9, 6));
  ASSERT_EQ(finalists.kept().size(), 2u);
  EXPECT_EQ(finalists.kept().front().candidate, 2u);
}

TEST(Finalists, TheLightestWithinABound) {
  Finalists finalists;
  finalists.keep(kernel(0, 10.0, 100));
  finalists.keep(kernel(1, 10.4, 80));
  finalists.keep(kernel(2, 10.9, 80));
  finalists.keep(kernel(3, 11.9, 50));
  EXPECT_EQ(finalists.lightest(1.0).candidate, 0u);
  EXPECT_EQ(finalists.lightest(1.05).candidate, 1u);
  EXPECT_EQ(finalists.lightest(1.1).candidate, 1u);  // of equals the faster
  EXPECT_EQ(finalists.lightest(1.25).candidate, 3u);
}

// Of more than are kept, those that read less than all that are faster stay, whatever their order.
TEST(Finalists, LightOnesOutliveFasterHeavyOnes) {
  for (const bool light_first : {false, true}) {
    Finalists finalists;
    if (light_first) finalists.keep(kernel(100, 12.0, 10));
    for (std::size_t i = 0; i < 30; ++i) finalists.keep(kernel(i, 10 + 0.01 * static_cast<double>(i), 100));
    if (!light_first) finalists.keep(kernel(100, 12.0, 10));
    EXPECT_EQ(finalists.kept().front().candidate, 0u);
    EXPECT_EQ(finalists.kept().back().candidate, 100u);
    EXPECT_EQ(finalists.lightest(kFinalistFactor).candidate, 100u);
    EXPECT_LT(finalists.kept().size(), 20u);
  }
}

TEST(Finalists, WhatWasChosenBeforeStays) {
  Finalists finalists;
  KernelWinner reference = kernel(100, 11.0, 100);
  reference.reference = true;
  finalists.keep(reference);
  for (std::size_t i = 0; i < 30; ++i) finalists.keep(kernel(i, 10 + 0.01 * static_cast<double>(i), 100));
  EXPECT_EQ(finalists.kept().back().candidate, 100u);
}

}  // namespace
}  // namespace duet
