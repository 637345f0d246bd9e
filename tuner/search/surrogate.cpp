#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "tuner/search/choosers.h"
#include "tuner/search/tree_ensemble.h"

namespace duet {
namespace {
double env(const char* n, double d) { const char* v = std::getenv(n); return v ? std::atof(v) : d; }

class SurrogateSearch : public Chooser {
 public:
  explicit SurrogateSearch(double curiosity) : curiosity_(curiosity) {}
  std::size_t choose(const TrialHistory& history, RandomSource& random) override {
    static const double kInit = env("INIT", 12);
    if (history.trials().size() < kInit || history.ranking().empty()) return history.random_unproposed(random);
    static const double kBatch = env("BATCH", 30);
    if (queue_.empty() || history.trials().size() >= fitted_at_ + 1 + fitted_at_ / kBatch) refill(history, random);
    while (!queue_.empty()) {
      const std::size_t next = queue_.back();
      queue_.pop_back();
      if (!history.is_proposed(next)) return next;
    }
    return history.random_unproposed(random);
  }

 private:
  void refill(const TrialHistory& history, RandomSource& random) {
    fit(history, random);
    fitted_at_ = history.trials().size();
    static const double kCap = env("CAP", 3000);
    std::vector<std::size_t> candidates;
    const auto& all = history.unproposed();
    if (all.size() <= kCap) candidates = all;
    else {
      for (int i = 0; i < kCap; ++i) candidates.push_back(all[random.below(all.size())]);
      std::vector<std::size_t> near;
      for (std::size_t e = 0; e < std::min<std::size_t>(8, history.ranking().size()); ++e) {
        history.space().neighbours(history.ranking()[e].index, near);
        for (std::size_t n : near) if (!history.is_proposed(n)) candidates.push_back(n);
      }
    }
    std::vector<std::pair<double, std::size_t>> scored;
    for (std::size_t index : candidates) {
      const auto p = ensemble_.predict(history.space().levels(index));
      scored.emplace_back(p.mean - curiosity_ * p.deviation, index);
    }
    const std::size_t keep = std::min<std::size_t>(scored.size(), 64);
    std::partial_sort(scored.begin(), scored.begin() + static_cast<long>(keep), scored.end());
    queue_.clear();
    for (std::size_t i = keep; i-- > 0;) queue_.push_back(scored[i].second);
  }

  void fit(const TrialHistory& history, RandomSource& random) {
    std::vector<TreeSample> samples;
    static const double kTrees = env("TREES", 40);
    static const int kMode = static_cast<int>(env("MODE", 0));
    const auto& ranking = history.ranking();
    const double worst = std::log(ranking.back().time_us);
    const double median = std::log(ranking[ranking.size() / 2].time_us);
    for (const Trial& t : history.trials()) {
      double y = t.valid ? std::log(t.time_us) : worst;
      if (kMode == 1) y = std::min(y, median);
      samples.push_back({history.space().levels(t.index), y});
    }
    ensemble_.fit(samples, static_cast<int>(kTrees), random);
  }

  double curiosity_;
  TreeEnsemble ensemble_;
  std::vector<std::size_t> queue_;
  std::size_t fitted_at_ = 0;
};

}  // namespace

std::unique_ptr<Chooser> make_surrogate_search(double curiosity) {
  return std::make_unique<SurrogateSearch>(curiosity);
}

}  // namespace duet
