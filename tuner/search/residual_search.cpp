#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "tuner/search/choosers.h"
#include "tuner/search/promising_queue.h"
#include "tuner/search/residual_model.h"

namespace duet {
namespace {

constexpr std::size_t kMostSamples = 128;      // the fastest: a step must cost far less than a trial
constexpr std::size_t kMostCandidates = 2000;  // those predicted fastest
constexpr double kCuriosity = 1;               // deviations that count in favour
constexpr double kRefusedOverLongest = 3;      // what the model would not try is expected to take

class ResidualSearch : public Chooser {
 public:
  std::size_t choose(const TrialHistory& history, RandomSource&) override {
    if (order_.empty()) read_predictions(history.space());
    if (history.ranking().empty()) return best_predicted(history);
    if (queue_.is_stale(history)) refill(history);
    const std::optional<std::size_t> next = queue_.next(history);
    return next ? *next : best_predicted(history);
  }

 private:
  void read_predictions(const EncodedSpace& space) {
    double longest_us = 1;  // where none is finite
    for (std::size_t index = 0; index < space.size(); ++index)
      if (std::isfinite(space.predicted_us(index))) longest_us = std::max(longest_us, space.predicted_us(index));
    for (std::size_t index = 0; index < space.size(); ++index) {
      const double us = space.predicted_us(index);
      log_predicted_.push_back(std::log(us > 0 && std::isfinite(us) ? us : kRefusedOverLongest * longest_us));
    }
    order_.resize(space.size());
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::stable_sort(order_.begin(), order_.end(),
                     [&](std::size_t a, std::size_t b) { return log_predicted_[a] < log_predicted_[b]; });
  }

  std::size_t best_predicted(const TrialHistory& history) const {
    return *std::find_if(order_.begin(), order_.end(), [&](std::size_t index) { return !history.is_proposed(index); });
  }

  void refill(const TrialHistory& history) {
    const ResidualModel model = fitted(history);
    PromisingQueue::Scored scored;
    for (const std::size_t index : order_) {
      if (history.is_proposed(index)) continue;
      const Residual residual = model.predict(index);
      scored.emplace_back(log_predicted_[index] + residual.mean - kCuriosity * residual.deviation, index);
      if (scored.size() == kMostCandidates) break;
    }
    queue_.refill(std::move(scored), history);
  }

  // What failed counts as the slowest.
  ResidualModel fitted(const TrialHistory& history) const {
    std::vector<ResidualSample> samples;
    const auto add = [&](const Trial& trial, double time_us) {
      if (samples.size() < kMostSamples)
        samples.push_back({.index = trial.index, .log_ratio = std::log(time_us) - log_predicted_[trial.index]});
    };
    for (const Trial& trial : history.ranking()) add(trial, trial.time_us);
    for (const Trial& trial : history.trials())
      if (!trial.valid) add(trial, history.ranking().back().time_us);
    ResidualModel model(history.space(), log_predicted_);
    model.fit(samples);
    return model;
  }

  std::vector<double> log_predicted_;  // of each configuration
  std::vector<std::size_t> order_;     // the fastest predicted first
  PromisingQueue queue_;
};

}  // namespace

std::unique_ptr<Chooser> make_residual_search() { return std::make_unique<ResidualSearch>(); }

}  // namespace duet
