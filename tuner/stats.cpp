#include "tuner/stats.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace duet {
namespace {

constexpr std::size_t kMinSamplesForInterval = 6;
constexpr double kHalfNormal95 = 0.98;  // 1.96 / 2: a binomial of p = 1/2 has the deviation sqrt(n) / 2

std::vector<double> sorted(std::span<const double> samples) {
  std::vector<double> values(samples.begin(), samples.end());
  std::sort(values.begin(), values.end());
  return values;
}

double median_of_sorted(const std::vector<double>& values) {
  if (values.empty()) return 0;
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace

double median(std::span<const double> samples) { return median_of_sorted(sorted(samples)); }

double median_absolute_deviation(std::span<const double> samples) {
  const double centre = median(samples);
  std::vector<double> distances;
  for (double sample : samples) distances.push_back(std::abs(sample - centre));
  return median(distances);
}

double percentile(std::span<const double> samples, double fraction) {
  const std::vector<double> values = sorted(samples);
  if (values.empty()) return 0;
  const double rank = std::clamp(fraction, 0.0, 1.0) * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(rank);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (rank - static_cast<double>(below)) * (values[above] - values[below]);
}

Interval median_interval(std::span<const double> samples) {
  const std::vector<double> values = sorted(samples);
  if (values.empty()) return {};
  if (values.size() < kMinSamplesForInterval) return {values.front(), values.back()};
  const auto count = static_cast<double>(values.size());
  const double spread = kHalfNormal95 * std::sqrt(count);
  // Ranks counted from 1, rounded outwards.
  const double low = std::max(1.0, std::floor(count / 2 - spread));
  const double high = std::min(count, std::ceil(count / 2 + 1 + spread));
  return {values[static_cast<std::size_t>(low) - 1], values[static_cast<std::size_t>(high) - 1]};
}

bool overlap(const Interval& a, const Interval& b) { return a.low <= b.high && b.low <= a.high; }

double relative_uncertainty(std::span<const double> samples) {
  const double centre = median(samples);
  if (samples.empty() || !(centre > 0)) return std::numeric_limits<double>::infinity();
  const Interval interval = median_interval(samples);
  return (interval.high - interval.low) / 2 / centre;
}

StopReason should_stop(std::span<const double> samples, const StoppingRule& rule) {
  const auto count = static_cast<int>(samples.size());
  if (count >= rule.max_samples) return StopReason::max_samples;
  if (count < rule.min_samples) return StopReason::none;
  if (relative_uncertainty(samples) <= rule.max_uncertainty) return StopReason::precise;
  const double spent = std::accumulate(samples.begin(), samples.end(), 0.0);
  if (rule.budget_us > 0 && spent >= rule.budget_us) return StopReason::budget;
  return StopReason::none;
}

}  // namespace duet
