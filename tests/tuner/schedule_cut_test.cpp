#include "tuner/schedule_cut.h"

#include <gtest/gtest.h>

namespace duet {
namespace {

using By = ScheduleCut::By;

TEST(ScheduleCut, IsFoundAgainInAnEnvironment) {
  for (const ScheduleCut cut : {ScheduleCut{By::budget, 2.5}, ScheduleCut{By::plans, 4}, ScheduleCut{By::stop, 0}})
    EXPECT_EQ(find_cut("Test Orin, driver 13.0" + cut_text(cut) + ", SM clock 918 MHz"), cut) << cut_text(cut);
  EXPECT_EQ(cut_text({By::budget, 25}), ", schedule cut short by a budget of 25 s");
  EXPECT_EQ(find_cut("Test Orin, driver 13.0"), std::nullopt);
  EXPECT_EQ(find_cut(""), std::nullopt);
}

TEST(ScheduleCut, IsSettledWhereNoMoreIsAskedFor) {
  EXPECT_TRUE(is_settled(std::nullopt, 0, 25));
  for (const int max_plans : {0, 1}) {
    EXPECT_TRUE(is_settled(ScheduleCut{By::budget, 25}, max_plans, 25));
    EXPECT_TRUE(is_settled(ScheduleCut{By::budget, 25}, max_plans, 10));
    EXPECT_FALSE(is_settled(ScheduleCut{By::budget, 25}, max_plans, 26));
    EXPECT_FALSE(is_settled(ScheduleCut{By::budget, 25}, max_plans, 0)) << "no limit";
    EXPECT_FALSE(is_settled(ScheduleCut{By::stop, 0}, max_plans, 25));
  }
  EXPECT_TRUE(is_settled(ScheduleCut{By::plans, 4}, 4, 25));
  EXPECT_FALSE(is_settled(ScheduleCut{By::plans, 4}, 5, 25));
  EXPECT_FALSE(is_settled(ScheduleCut{By::plans, 4}, 0, 25)) << "no limit";
}

}  // namespace
}  // namespace duet
