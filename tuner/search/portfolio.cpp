// Several choosers, the cost model's order among them where there is one, on one history, so that each builds on what
// the others found. Each is lent trials by what its own brought lately, none is dropped: which of them suits a space
// shows only while it is searched, and may change.
#include <algorithm>
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

std::size_t best_predicted(const TrialHistory& history) {
  const auto& left = history.unproposed();
  return *std::min_element(left.begin(), left.end(), [&](std::size_t a, std::size_t b) {
    const double one = history.space().predicted_us(a), other = history.space().predicted_us(b);
    return one != other ? one < other : a < b;
  });
}

// The cost model's order.
class ModelOrder : public Chooser {
 public:
  std::size_t choose(const TrialHistory& history, RandomSource&) override { return best_predicted(history); }
};

class Portfolio : public Chooser {
 public:
  Portfolio() {
    // Two that fit models, each of its own curiosity, against getting stuck; two that look around what is good.
    for (auto* make : {make_surrogate_search, make_surrogate_search, make_elite_search, make_local_search})
      members_.push_back({.chooser = make()});
  }

  std::size_t choose(const TrialHistory& history, RandomSource& random) override {
    if (history.space().has_predictions() && !asks_model_) {
      asks_model_ = true;
      members_.push_back({.chooser = std::make_unique<ModelOrder>(), .credit = kModelCredit});
    }
    if (history.trials().size() < kFirstSample || history.ranking().empty()) return first_sample(history, random);
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
    for (Member& member : members_) member.credit *= kForget, member.trials *= kForget;
    members_[owner].trials += 1;
    members_[owner].credit += reward(trial, history);
  }

 private:
  // Spread over the space; every other one by the cost model, where there is one.
  std::size_t first_sample(const TrialHistory& history, RandomSource& random) {
    by_model_ = !by_model_ && history.space().has_predictions();
    if (!by_model_) return space_filling(history, random);
    return best_predicted(history);
  }

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
  bool by_model_ = false;
  bool asks_model_ = false;  // a member follows it: where there is one
};

}  // namespace

std::unique_ptr<Chooser> make_portfolio() { return std::make_unique<Portfolio>(); }

}  // namespace duet
