#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "tuner/search/choosers.h"
#include "tuner/search/promising_queue.h"
#include "tuner/search/tree_ensemble.h"

namespace duet {
namespace {

constexpr std::size_t kFirstSample = 12;  // before there is something to fit
constexpr int kTrees = 32;
constexpr std::size_t kSampledCandidates = 2000;  // a step must cost far less than a trial
constexpr std::size_t kElite = 8;                 // whose neighbours are candidates in any case
constexpr double kMaxCuriosity = 2;               // deviations that may count in favour

class SurrogateSearch : public Chooser {
 public:
  std::size_t choose(const TrialHistory& history, RandomSource& random) override {
    const std::size_t known = history.trials().size();
    if (known < kFirstSample || history.ranking().empty()) return space_filling(history, random);
    if (queue_.is_stale(history)) refill(history, random);
    const std::optional<std::size_t> next = queue_.next(history);
    return next ? *next : history.random_unproposed(random);
  }

 private:
  // How much the unknown attracts is drawn anew each time: no one value suits every space.
  void refill(const TrialHistory& history, RandomSource& random) {
    fit(history, random);
    const double curiosity = kMaxCuriosity * random.uniform();
    PromisingQueue::Scored scored;
    for (const std::size_t index : candidates(history, random)) {
      const TreePrediction expected = ensemble_.predict(history.space().levels(index));
      scored.emplace_back(expected.mean - curiosity * expected.deviation, index);
    }
    queue_.refill(std::move(scored), history);
  }

  static std::vector<std::size_t> candidates(const TrialHistory& history, RandomSource& random) {
    if (history.unproposed_count() <= kSampledCandidates) return history.unproposed();
    std::vector<std::size_t> found, near;
    for (std::size_t i = 0; i < kSampledCandidates; ++i) found.push_back(history.random_unproposed(random));
    for (std::size_t place = 0; place < std::min(kElite, history.ranking().size()); ++place) {
      history.space().neighbours(history.ranking()[place].index, near);
      for (const std::size_t index : near)
        if (!history.is_proposed(index)) found.push_back(index);
    }
    return found;
  }

  // Trees learn places, not times: the root of the place tells the fast ones apart, and no outlier weighs more than the
  // last of all, where failures stand too.
  void fit(const TrialHistory& history, RandomSource& random) {
    const std::vector<Trial>& ranking = history.ranking();
    std::vector<TreeSample> samples;
    for (std::size_t place = 0; place < ranking.size(); ++place)
      samples.push_back({history.space().levels(ranking[place].index), std::sqrt(static_cast<double>(place))});
    for (const Trial& trial : history.trials())
      if (!trial.valid)
        samples.push_back({history.space().levels(trial.index), std::sqrt(static_cast<double>(ranking.size()))});
    ensemble_.fit(samples, kTrees, random);
  }

  TreeEnsemble ensemble_;
  PromisingQueue queue_;
};

}  // namespace

std::unique_ptr<Chooser> make_surrogate_search() { return std::make_unique<SurrogateSearch>(); }

}  // namespace duet
