// Which kernels are exchanged for those that read less, all towers' at once and each tower's.
#include "tuner/lighter_kernels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <utility>

namespace duet {
namespace {

using testing::ElementsAre;
using Names = std::vector<std::string>;

KernelWinner winner(const std::string& entry) {
  KernelWinner winner;
  winner.kernel.source.entry = entry;
  return winner;
}

// Four problems: two of vision, one of text, one of both.
class LighterPlans : public testing::Test {
 protected:
  LighterPlans() {
    for (const char* entry : {"v0", "v1", "t0", "j0"}) chosen_.push_back(winner(entry).kernel);
  }

  // What a problem has, from so many times its fastest on.
  void add(std::size_t problem, double slower, const std::string& entry) { lighter_[problem][slower] = winner(entry); }
  std::vector<Names> plans(const std::string& tower) const {
    const auto lightest = [this](std::size_t problem, double slower) -> const KernelWinner* {
      const auto found = lighter_.find(problem);
      if (found == lighter_.end()) return nullptr;
      const KernelWinner* light = nullptr;
      for (const auto& [from, winner] : found->second)
        if (from <= slower) light = &winner;
      return light;
    };
    std::vector<Names> plans;
    for (const std::vector<ChosenKernel>& kernels : lighter_plans(chosen_, tower_of_, tower, lightest)) {
      Names& entries = plans.emplace_back();
      for (const ChosenKernel& kernel : kernels) entries.push_back(kernel.source.entry);
    }
    return plans;
  }

  const Names tower_of_{"vision", "vision", "text", "joint"};
  std::vector<ChosenKernel> chosen_;
  std::map<std::size_t, std::map<double, KernelWinner>> lighter_;
};

TEST_F(LighterPlans, WithoutLighterKernelsThereIsThePlanItself) {
  EXPECT_THAT(plans(""), ElementsAre(Names{"v0", "v1", "t0", "j0"}));
}

TEST_F(LighterPlans, MoreTimeAllowsMoreExchangesAndEqualPlansCountOnce) {
  add(0, 1.04, "v0-light");
  add(2, 1.1, "t0-light");
  EXPECT_THAT(plans(""), ElementsAre(Names{"v0", "v1", "t0", "j0"}, Names{"v0-light", "v1", "t0", "j0"},
                                     Names{"v0-light", "v1", "t0-light", "j0"}));
}

TEST_F(LighterPlans, ATowersExchangesLeaveTheOthersAlone) {
  add(0, 1.05, "v0-light");
  add(2, 1.05, "t0-light");
  add(3, 1.05, "j0-light");
  EXPECT_THAT(plans("vision"), ElementsAre(Names{"v0", "v1", "t0", "j0"}, Names{"v0-light", "v1", "t0", "j0"}));
  EXPECT_THAT(plans("text"), ElementsAre(Names{"v0", "v1", "t0", "j0"}, Names{"v0", "v1", "t0-light", "j0"}));
}

TEST_F(LighterPlans, NothingIsExchangedThatIsSlowerThanAFinalistMayBe) {
  add(0, 10, "v0-light");
  EXPECT_THAT(plans(""), ElementsAre(Names{"v0", "v1", "t0", "j0"}));
}

TEST(TowersToLighten, AllAtOnceAndThenEachOfSeveral) {
  EXPECT_THAT(towers_to_lighten(Names{"vision", "joint", "text", "vision"}), ElementsAre("", "text", "vision"));
  EXPECT_THAT(towers_to_lighten(Names{"vision", "joint"}), ElementsAre(""));
}

}  // namespace
}  // namespace duet
