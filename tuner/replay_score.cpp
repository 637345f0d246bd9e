#include "tuner/replay_score.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tuner/stats.h"

namespace duet {
namespace {

constexpr double kStartPart = 0.01, kEndPart = 0.95;
constexpr double kBudgetFactor = 1.1;
constexpr std::size_t kSteps = 1000;

double mean_of(const std::vector<double>& values) {
  return values.empty() ? 0 : std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// The slope at an end of a monotone cubic (Fritsch and Butland), from the two widths and slopes next to it.
double end_slope(double width0, double width1, double secant0, double secant1) {
  const double slope = ((2 * width0 + width1) * secant0 - width0 * secant1) / (width0 + width1);
  if (slope * secant0 <= 0) return 0;
  if (secant0 * secant1 <= 0 && std::abs(slope) > 3 * std::abs(secant0)) return 3 * secant0;
  return slope;
}

// Slopes of the piecewise cubic Hermite interpolation that never overshoots (PCHIP).
std::vector<double> pchip_slopes(const std::vector<double>& x, const std::vector<double>& y) {
  const std::size_t count = x.size();
  std::vector<double> slopes(count, 0), widths, secants;
  for (std::size_t i = 0; i + 1 < count; ++i) {
    widths.push_back(x[i + 1] - x[i]);
    secants.push_back((y[i + 1] - y[i]) / widths[i]);
  }
  if (count < 2) return slopes;
  if (count == 2) return {secants[0], secants[0]};
  for (std::size_t i = 1; i + 1 < count; ++i) {
    if (secants[i - 1] * secants[i] <= 0) continue;
    const double left = 2 * widths[i] + widths[i - 1], right = widths[i] + 2 * widths[i - 1];
    slopes[i] = (left + right) / (left / secants[i - 1] + right / secants[i]);
  }
  slopes.front() = end_slope(widths[0], widths[1], secants[0], secants[1]);
  slopes.back() = end_slope(widths[count - 2], widths[count - 3], secants[count - 2], secants[count - 3]);
  return slopes;
}

// Where random search has found the optimum too, within rounding, there is nothing to gain: only to keep up with.
double performance(double found_ms, double random_ms, double optimum_ms) {
  constexpr double kRounding = 1e-9;
  if (random_ms <= optimum_ms * (1 + kRounding)) return found_ms <= optimum_ms * (1 + kRounding) ? 1 : 0;
  return (found_ms - random_ms) / (optimum_ms - random_ms);
}

}  // namespace

ReplayScorer::ReplayScorer(const ReplayedSpace& space) {
  std::vector<double> valid_costs, failed_costs;
  for (std::size_t i = 0; i < space.time_ms.size(); ++i) {
    if (space.time_ms[i] > 0) ascending_ms_.push_back(space.time_ms[i]);
    (space.time_ms[i] > 0 ? valid_costs : failed_costs).push_back(space.cost_s[i]);
  }
  std::sort(ascending_ms_.begin(), ascending_ms_.end());
  median_cost_s_ = median(space.cost_s);
  median_ms_ = median(ascending_ms_);
  const double failed_share = static_cast<double>(failed_costs.size()) / static_cast<double>(space.cost_s.size());
  cost_per_trial_s_ = mean_of(valid_costs) + failed_share * mean_of(failed_costs);
  trials_start_ = trials_until(kStartPart);
  trials_end_ = trials_until(kEndPart);
  prepare_random_search();
}

double ReplayScorer::target_ms(double part) const { return optimum_ms() + (median_ms_ - optimum_ms()) * (1 - part); }

// Trials that random search needs, in expectation, to be as fast as the target.
int ReplayScorer::trials_until(double part) const {
  const double target = target_ms(part);
  const auto count = static_cast<double>(ascending_ms_.size());
  const auto faster = std::upper_bound(ascending_ms_.begin(), ascending_ms_.end(), target) - ascending_ms_.begin();
  double passed = count - static_cast<double>(faster);  // how many are slower than the target
  const bool is_optimum = ascending_ms_[static_cast<std::size_t>(faster) - 1] <= optimum_ms();
  if (is_optimum) passed = std::max(0.0, passed - 1);
  return std::max(1, static_cast<int>(std::ceil(passed / (count + 1 - passed))));
}

double ReplayScorer::budget_s() const { return kBudgetFactor * trials_end_ * median_cost_s_; }

double ReplayScorer::time_s(std::size_t step) const {
  const double start = trials_start_ * median_cost_s_, end = trials_end_ * median_cost_s_;
  return start + (end - start) * static_cast<double>(step) / static_cast<double>(kSteps - 1);
}

void ReplayScorer::prepare_random_search() {
  const auto count = static_cast<double>(ascending_ms_.size());
  for (std::size_t step = 0; step < kSteps; ++step) {
    const double trials = std::nearbyint(std::max(1.0, time_s(step) / cost_per_trial_s_));
    if (!random_trials_.empty() && random_trials_.back() == trials) continue;
    const double slower = std::min(count - 1, std::nearbyint(trials * (count + 1) / (trials + 1)));
    random_trials_.push_back(trials);
    random_ms_.push_back(ascending_ms_[ascending_ms_.size() - 1 - static_cast<std::size_t>(slower)]);
  }
  random_slopes_ = pchip_slopes(random_trials_, random_ms_);
}

double ReplayScorer::random_search_ms(double elapsed_s) const {
  const double trials = elapsed_s / cost_per_trial_s_;
  if (trials <= random_trials_.front()) return random_ms_.front();
  if (trials >= random_trials_.back()) return random_ms_.back();
  const auto above = std::upper_bound(random_trials_.begin(), random_trials_.end(), trials) - random_trials_.begin();
  const auto i = static_cast<std::size_t>(above - 1);
  const double width = random_trials_[i + 1] - random_trials_[i], u = (trials - random_trials_[i]) / width;
  const double v = 1 - u;
  return random_ms_[i] * (1 + 2 * u) * v * v + width * random_slopes_[i] * u * v * v +
         random_ms_[i + 1] * u * u * (3 - 2 * u) - width * random_slopes_[i + 1] * u * u * v;
}

// At each time, the mean over the repeats of the best's place among all; the last place before anything is valid.
std::vector<double> ReplayScorer::mean_ranks(const std::vector<ReplayTrace>& repeats) const {
  std::vector<double> ranks(kSteps, 0);
  for (const ReplayTrace& trace : repeats) {
    double elapsed_s = 0, best_rank = static_cast<double>(ascending_ms_.size() - 1);
    auto trial = trace.begin();
    for (std::size_t step = 0; step < kSteps; ++step) {
      for (; trial != trace.end() && elapsed_s + trial->cost_s <= time_s(step); ++trial) {
        elapsed_s += trial->cost_s;
        if (!trial->time_ms) continue;
        const auto place = std::lower_bound(ascending_ms_.begin(), ascending_ms_.end(), *trial->time_ms);
        best_rank = std::min(best_rank, static_cast<double>(place - ascending_ms_.begin()));
      }
      ranks[step] += best_rank / static_cast<double>(repeats.size());
    }
  }
  return ranks;
}

double ReplayScorer::score(const std::vector<ReplayTrace>& repeats) const {
  const std::vector<double> ranks = mean_ranks(repeats);
  double sum = 0;
  for (std::size_t step = 0; step < kSteps; ++step)
    sum += performance(ascending_ms_[static_cast<std::size_t>(std::nearbyint(ranks[step]))],
                       random_search_ms(time_s(step)), optimum_ms());
  return sum / static_cast<double>(kSteps);
}

}  // namespace duet
