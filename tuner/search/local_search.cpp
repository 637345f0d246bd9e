#include "tuner/search/choosers.h"

namespace duet {
namespace {

class LocalSearch : public Chooser {
 public:
  std::size_t choose(const TrialHistory& history, RandomSource& random) override {
    if (here_)
      if (const auto next = unproposed_neighbour(*here_, history, random)) return *next;
    here_.reset();
    return history.random_unproposed(random);
  }
  void learn(const Trial& trial, bool own, const TrialHistory&, RandomSource&) override {
    if (!own || !trial.valid || (here_ && trial.time_us >= here_us_)) return;
    here_ = trial.index;
    here_us_ = trial.time_us;
  }

 private:
  std::optional<std::size_t> here_;
  double here_us_ = 0;
};

}  // namespace

std::unique_ptr<Chooser> make_local_search() { return std::make_unique<LocalSearch>(); }

}  // namespace duet
