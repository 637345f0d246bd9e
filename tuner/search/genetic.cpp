#include <algorithm>

#include "tuner/search/choosers.h"

namespace duet {
namespace {

constexpr std::size_t kPopulation = 12;

class GeneticSearch : public Chooser {
 public:
  std::size_t choose(const TrialHistory& history, RandomSource& random) override {
    if (history.ranking().size() < kPopulation) return history.random_unproposed(random);
    const EncodedSpace& space = history.space();
    const auto one = space.levels(parent(history, random)), other = space.levels(parent(history, random));
    child_.assign(one.begin(), one.end());
    for (std::size_t i = 0; i < child_.size(); ++i)
      if (random.below(2) == 1) child_[i] = other[i];
    mutate(space, random);
    return nearest_unproposed(child_, history, random);
  }

 private:
  // The better of two: the population is the fastest of all that is known.
  static std::size_t parent(const TrialHistory& history, RandomSource& random) {
    return history.ranking()[std::min(random.below(kPopulation), random.below(kPopulation))].index;
  }
  void mutate(const EncodedSpace& space, RandomSource& random) {
    for (std::size_t i = 0; i < child_.size(); ++i)
      if (random.below(child_.size()) == 0)
        child_[i] = static_cast<std::uint16_t>(random.below(static_cast<std::size_t>(space.level_count(i))));
  }

  std::vector<std::uint16_t> child_;
};

}  // namespace

std::unique_ptr<Chooser> make_genetic_search() { return std::make_unique<GeneticSearch>(); }

}  // namespace duet
