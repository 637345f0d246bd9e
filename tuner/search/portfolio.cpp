// Several choosers, the search by residuals among them where there are predictions, on one history, so that each builds
// on what the others found. Each is lent trials by what its own brought lately, none is dropped: which of them suits a
// space shows only while it is searched, and may change.
#include <optional>
#include <unordered_map>
#include <vector>

#include "tuner/search/choosers.h"

namespace duet {
namespace {

constexpr std::size_t kFirstSample = 12;
constexpr double kForget = 0.97;       // of what was earned, at each result
constexpr double kEvenShare = 0.1;     // of the trials that is lent evenly
constexpr double kFirstCredit = 0.05;  // so that one that never earned can still be chosen
constexpr double kFirstTrials = 0.5;
constexpr double kModelCredit = 3;  // the model is trusted more than what has learned nothing yet, until it fails

struct Member {
  std::unique_ptr<Chooser> chooser;
  double credit = 1, trials = 1;  // earned and lent, the older the less
  double rate() const { return (credit + kFirstCredit) / (trials + kFirstTrials); }
};

class Portfolio : public Chooser {
 public:
  Portfolio() {
    // Two that fit models, each of its own curiosity, against getting stuck; two that look around what is good.
    for (auto* make : {make_surrogate_search, make_surrogate_search, make_elite_search, make_local_search})
      members_.push_back({.chooser = make()});
  }

  std::size_t choose(const TrialHistory& history, RandomSource& random) override {
    const bool predicted = history.space().has_predictions();
    if (predicted && !residuals_) {
      residuals_ = members_.size();
      members_.push_back({.chooser = make_residual_search(), .credit = kModelCredit});
    }
    const bool begins = history.trials().size() < kFirstSample || history.ranking().empty();
    // A sample spread over the space is nearly all of a small budget; a model that was never tried is better.
    if (begins && !predicted) return space_filling(history, random);
    const std::size_t member = begins ? *residuals_ : pick(random);
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
    for (Member& member : members_) member.credit *= kForget, member.trials *= kForget;
    members_[owner].trials += 1;
    members_[owner].credit += reward(trial, history);
  }

 private:
  // Only a new best earns: were good ones to earn too, looking around a local optimum would take all trials.
  static double reward(const Trial& trial, const TrialHistory& history) {
    return trial.valid && history.ranking().front().index == trial.index ? 1 : 0;
  }

  std::size_t pick(RandomSource& random) const {
    double sum = 0;
    for (const Member& member : members_) sum += member.rate();
    double left = random.uniform();
    for (std::size_t i = 0; i + 1 < members_.size(); ++i) {
      left -= kEvenShare / static_cast<double>(members_.size()) + (1 - kEvenShare) * members_[i].rate() / sum;
      if (left < 0) return i;
    }
    return members_.size() - 1;
  }

  std::vector<Member> members_;
  std::unordered_map<std::size_t, std::size_t> owner_;  // who chose what is not reported yet
  std::optional<std::size_t> residuals_;                // the member that learns how far predictions are off
};

}  // namespace

std::unique_ptr<Chooser> make_portfolio() { return std::make_unique<Portfolio>(); }

}  // namespace duet
