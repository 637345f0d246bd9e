#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "tuner/search/choosers.h"

namespace duet {
namespace {

constexpr std::size_t kPopulation = 12;
constexpr double kFactor = 0.7, kCrossover = 0.8;

class DifferentialEvolution : public Chooser {
 public:
  std::size_t choose(const TrialHistory& history, RandomSource& random) override {
    if (population_.size() < kPopulation) return history.random_unproposed(random);
    const std::size_t target = next_++ % kPopulation;
    move(target, history.space(), random);
    const std::size_t chosen = nearest_unproposed(moved_, history, random);
    target_of_[chosen] = target;
    return chosen;
  }
  void learn(const Trial& trial, bool own, const TrialHistory&, RandomSource&) override {
    if (!own) return;
    const auto found = target_of_.find(trial.index);
    if (found == target_of_.end()) {
      if (trial.valid && population_.size() < kPopulation) population_.push_back(trial);
      return;
    }
    Trial& target = population_[found->second];
    if (trial.valid && trial.time_us < target.time_us) target = trial;
    target_of_.erase(found);
  }

 private:
  // Towards the best, and by the difference of two others.
  void move(std::size_t target, const EncodedSpace& space, RandomSource& random) {
    const auto faster = [](const Trial& a, const Trial& b) { return a.time_us < b.time_us; };
    const auto from = space.levels(population_[target].index);
    const auto best = space.levels(std::min_element(population_.begin(), population_.end(), faster)->index);
    const auto one = space.levels(population_[random.below(kPopulation)].index);
    const auto other = space.levels(population_[random.below(kPopulation)].index);
    moved_.assign(from.begin(), from.end());
    for (std::size_t i = 0; i < moved_.size(); ++i) {
      if (random.uniform() >= kCrossover) continue;
      const double level = from[i] + kFactor * (best[i] - from[i]) + kFactor * (one[i] - other[i]);
      moved_[i] = static_cast<std::uint16_t>(std::clamp(std::nearbyint(level), 0.0, space.level_count(i) - 1.0));
    }
  }

  std::vector<Trial> population_;
  std::size_t next_ = 0;
  std::unordered_map<std::size_t, std::size_t> target_of_;
  std::vector<std::uint16_t> moved_;
};

}  // namespace

std::unique_ptr<Chooser> make_differential_evolution() { return std::make_unique<DifferentialEvolution>(); }

}  // namespace duet
