// Summaries of noisy timings, and when to stop sampling. Pure.
#pragma once

#include <span>

namespace duet {

struct Interval {
  double low = 0;
  double high = 0;
};

// Of unordered samples; 0 of none. An even count gives the mean of the middle two.
double median(std::span<const double> samples);
// The median distance from the median. Unscaled.
double median_absolute_deviation(std::span<const double> samples);
// The value below which `fraction` of the samples lie, interpolated linearly between order statistics.
double percentile(std::span<const double> samples, double fraction);

// The 95% confidence interval of the median, from order statistics alone: no distribution is assumed. Its ends are the
// samples of rank n/2 -+ 0.98 sqrt(n), the normal approximation of the binomial. The whole range below 6 samples,
// where no pair of ranks reaches 95%.
Interval median_interval(std::span<const double> samples);
bool overlap(const Interval& a, const Interval& b);
// Half the interval's width over the median; infinity of none or a median that is not positive.
double relative_uncertainty(std::span<const double> samples);

struct StoppingRule {
  int min_samples = 10;
  int max_samples = 1000;
  double max_uncertainty = 0.01;  // of the median
  double budget_us = 0;           // of the samples' sum; 0: no limit
};
enum class StopReason { none, precise, max_samples, budget };
StopReason should_stop(std::span<const double> samples, const StoppingRule& rule);

}  // namespace duet
