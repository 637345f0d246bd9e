// Several choosers on one history. Each is lent trials in proportion to what its own brought lately, none is dropped:
// which of them suits a space shows only while it is searched, and may change on the way.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <unordered_map>
#include <vector>

#include "tuner/search/choosers.h"

namespace duet {
namespace {
double env(const char* n, double d) { const char* v = std::getenv(n); return v ? std::atof(v) : d; }

struct Member {
  std::unique_ptr<Chooser> chooser;
  double credit = 1, lent = 1;
};

class Portfolio : public Chooser {
 public:
  explicit Portfolio() {
    const double mask = env("MEMBERS", 15);
    const int m = static_cast<int>(mask);
    if (m & 1) members_.push_back({make_surrogate_search(0.3)});
    if (m & 2) members_.push_back({make_surrogate_search(1.5)});
    if (m & 4) members_.push_back({make_elite_search()});
    if (m & 8) members_.push_back({make_genetic_search()});
    if (m & 16) members_.push_back({make_local_search()});
    if (m & 32) members_.push_back({make_differential_evolution()});
    if (m & 64) members_.push_back({make_annealing()});
  }
  std::size_t choose(const TrialHistory& history, RandomSource& random) override {
    static const double kInit = env("PINIT", 12);
    if (history.trials().size() < kInit || history.ranking().empty()) return history.random_unproposed(random);
    const std::size_t member = pick(random);
    const std::size_t index = members_[member].chooser->choose(history, random);
    owner_[index] = member;
    return index;
  }
  void learn(const Trial& trial, bool, const TrialHistory& history, RandomSource& random) override {
    const auto found = owner_.find(trial.index);
    const std::size_t owner = found == owner_.end() ? members_.size() : found->second;
    for (std::size_t i = 0; i < members_.size(); ++i) members_[i].chooser->learn(trial, i == owner, history, random);
    if (owner == members_.size()) return;
    owner_.erase(found);
    static const double kDecay = env("DECAY", 0.97);
    for (Member& member : members_) member.credit *= kDecay, member.lent *= kDecay;
    members_[owner].lent += 1;
    members_[owner].credit += reward(trial, history);
  }

 private:
  // 1 for a new best, less the further down it is placed among all that is known.
  static double reward(const Trial& trial, const TrialHistory& history) {
    if (!trial.valid) return 0;
    const auto& ranking = history.ranking();
    const auto place = std::lower_bound(ranking.begin(), ranking.end(), trial, [](const Trial& a, const Trial& b) {
                         return a.time_us < b.time_us;
                       }) - ranking.begin();
    return place == 0 ? 1 : 0.5 / (1 + static_cast<double>(place));
  }
  std::size_t pick(RandomSource& random) {
    static const double kFloor = env("FLOOR", 0.1);
    std::vector<double> rates;
    double sum = 0;
    for (const Member& member : members_) {
      rates.push_back((member.credit + 0.05) / (member.lent + 0.5));
      sum += rates.back();
    }
    double at = random.uniform();
    for (std::size_t i = 0; i < members_.size(); ++i) {
      const double share = kFloor / static_cast<double>(members_.size()) + (1 - kFloor) * rates[i] / sum;
      if (at < share) return i;
      at -= share;
    }
    return members_.size() - 1;
  }

  std::vector<Member> members_;
  std::unordered_map<std::size_t, std::size_t> owner_;
};

}  // namespace

std::unique_ptr<Chooser> make_portfolio(const EncodedSpace&) { return std::make_unique<Portfolio>(); }

}  // namespace duet
