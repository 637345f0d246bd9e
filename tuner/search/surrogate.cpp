#include <algorithm>
#include <cmath>
#include <utility>

#include "tuner/search/choosers.h"
#include "tuner/search/tree_ensemble.h"

namespace duet {
namespace {

constexpr std::size_t kFirstSample = 12;  // before there is something to fit
constexpr int kTrees = 32;
constexpr std::size_t kSampledCandidates = 2000;  // a step must cost far less than a trial
constexpr std::size_t kElite = 8;                 // whose neighbours are candidates in any case
constexpr std::size_t kKept = 64;
constexpr std::size_t kRefitPart = 20;  // refitted when this part of what is known is new
constexpr double kMaxCuriosity = 2;     // deviations that may count in favour

class SurrogateSearch : public Chooser {
 public:
  std::size_t choose(const TrialHistory& history, RandomSource& random) override {
    const std::size_t known = history.trials().size();
    if (known < kFirstSample || history.ranking().empty()) return space_filling(history, random);
    if (known > fitted_at_ + fitted_at_ / kRefitPart) refill(history, random);
    while (!queue_.empty()) {
      const std::size_t next = queue_.back();
      queue_.pop_back();
      if (!history.is_proposed(next)) return next;
    }
    return history.random_unproposed(random);
  }

 private:
  // How much the unknown attracts is drawn anew each time: no one value suits every space.
  void refill(const TrialHistory& history, RandomSource& random) {
    fit(history, random);
    const double curiosity = kMaxCuriosity * random.uniform();
    std::vector<std::pair<double, std::size_t>> scored;
    for (const std::size_t index : candidates(history, random)) {
      const TreePrediction expected = ensemble_.predict(history.space().levels(index));
      scored.emplace_back(expected.mean - curiosity * expected.deviation, index);
    }
    const std::size_t kept = std::min(kKept, scored.size());
    std::partial_sort(scored.begin(), scored.begin() + static_cast<std::ptrdiff_t>(kept), scored.end());
    queue_.clear();
    for (std::size_t i = kept; i-- > 0;) queue_.push_back(scored[i].second);
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
    fitted_at_ = history.trials().size();
  }

  TreeEnsemble ensemble_;
  std::vector<std::size_t> queue_;  // the most promising last
  std::size_t fitted_at_ = 0;
};

}  // namespace

std::unique_ptr<Chooser> make_surrogate_search() { return std::make_unique<SurrogateSearch>(); }

}  // namespace duet
