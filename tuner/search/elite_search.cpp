#include <algorithm>

#include "tuner/search/choosers.h"

namespace duet {
namespace {

constexpr std::size_t kElite = 3;

class EliteSearch : public Chooser {
 public:
  std::size_t choose(const TrialHistory& history, RandomSource& random) override {
    const std::vector<Trial>& ranking = history.ranking();
    const std::size_t elite = std::min(kElite, ranking.size());
    if (elite == 0) return history.random_unproposed(random);
    for (std::size_t place = 0; place < elite; ++place)
      if (const auto next = unproposed_neighbour(ranking[place].index, history, random)) return *next;
    return nearest_unproposed(history.space().levels(ranking[random.below(elite)].index), history, random);
  }
};

}  // namespace

std::unique_ptr<Chooser> make_elite_search() { return std::make_unique<EliteSearch>(); }

}  // namespace duet
