#include <cmath>

#include "tuner/search/choosers.h"

namespace duet {
namespace {

// Temperatures are of the logarithm of time: at 0.3, one move in e to a neighbour 1.35 times as slow is made.
constexpr double kHottest = 0.3, kColdest = 0.01, kCooling = 0.97;

class Annealing : public Chooser {
 public:
  std::size_t choose(const TrialHistory& history, RandomSource& random) override {
    if (here_)
      if (const auto next = unproposed_neighbour(*here_, history, random)) return *next;
    here_.reset();
    temperature_ = kHottest;
    return history.random_unproposed(random);
  }
  void learn(const Trial& trial, bool own, const TrialHistory&, RandomSource& random) override {
    if (!own) return;
    temperature_ = std::max(kColdest, temperature_ * kCooling);
    if (!trial.valid) return;
    const double rise = here_ ? std::log(trial.time_us / here_us_) : 0;
    if (rise > 0 && random.uniform() >= std::exp(-rise / temperature_)) return;
    here_ = trial.index;
    here_us_ = trial.time_us;
  }

 private:
  std::optional<std::size_t> here_;
  double here_us_ = 0, temperature_ = kHottest;
};

}  // namespace

std::unique_ptr<Chooser> make_annealing() { return std::make_unique<Annealing>(); }

}  // namespace duet
