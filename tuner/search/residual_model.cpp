#include "tuner/search/residual_model.h"

#include <algorithm>
#include <cmath>

namespace duet {
namespace {

// Of logarithms, as far as nothing is known: what calibrated predictions are off by on devices that they were not
// fitted to (docs/cost-model.md). It counts as much as kPriorSamples results.
constexpr double kPriorDeviation = 0.15;
constexpr double kPriorSamples = 4;
constexpr double kReach = 3;           // distance over which two configurations' residuals have e times less in common
constexpr double kOffsetVariance = 1;  // of what the predictions are off by as a whole: anything
// Of the power of their predictions that times go with: two deviations reach below 0, which is no order at all.
constexpr double kSlopeDeviation = 0.7;
constexpr double kNoiseVariance = 4e-4;  // 2% of a time

double variance_of(std::span<const ResidualSample> samples, double middle) {
  double sum = kPriorSamples * kPriorDeviation * kPriorDeviation;
  for (const ResidualSample& sample : samples) sum += (sample.log_ratio - middle) * (sample.log_ratio - middle);
  return sum / (kPriorSamples + static_cast<double>(samples.size()));
}

std::size_t row_start(std::size_t row) { return row * (row + 1) / 2; }

}  // namespace

void ResidualModel::fit(std::span<const ResidualSample> samples) {
  middle_ = middle_log_predicted_ = 0;
  for (const ResidualSample& sample : samples) {
    middle_ += sample.log_ratio / static_cast<double>(samples.size());
    middle_log_predicted_ += (*log_predicted_)[sample.index] / static_cast<double>(samples.size());
  }
  variance_ = variance_of(samples, middle_);
  known_.clear();
  weights_.clear();
  for (const ResidualSample& sample : samples) {
    known_.push_back(sample.index);
    weights_.push_back(sample.log_ratio - middle_);
  }
  factorize();
  divide_by_factor(weights_);
}

Residual ResidualModel::predict(std::size_t index) const {
  std::vector<double> shared;
  shared.reserve(known_.size());
  for (const std::size_t known : known_) shared.push_back(covariance(index, known));
  divide_by_factor(shared);
  Residual residual{.mean = middle_, .deviation = 0};
  double explained = 0;
  for (std::size_t i = 0; i < shared.size(); ++i) {
    residual.mean += shared[i] * weights_[i];
    explained += shared[i] * shared[i];
  }
  residual.deviation = std::sqrt(std::max(0.0, covariance(index, index) - explained));
  return residual;
}

double ResidualModel::covariance(std::size_t a, std::size_t b) const {
  const double slope_a = kSlopeDeviation * ((*log_predicted_)[a] - middle_log_predicted_);
  const double slope_b = kSlopeDeviation * ((*log_predicted_)[b] - middle_log_predicted_);
  return kOffsetVariance + slope_a * slope_b + variance_ * std::exp(-space_->distance(space_->levels(a), b) / kReach);
}

// Cholesky's, row by row.
void ResidualModel::factorize() {
  factor_.clear();
  for (std::size_t row = 0; row < known_.size(); ++row) {
    for (std::size_t column = 0; column <= row; ++column) {
      double left = covariance(known_[row], known_[column]) + (row == column ? kNoiseVariance : 0);
      for (std::size_t i = 0; i < column; ++i) left -= factor_[row_start(row) + i] * factor_[row_start(column) + i];
      factor_.push_back(row == column ? std::sqrt(std::max(left, kNoiseVariance))
                                      : left / factor_[row_start(column) + column]);
    }
  }
}

void ResidualModel::divide_by_factor(std::vector<double>& values) const {
  for (std::size_t row = 0; row < values.size(); ++row) {
    for (std::size_t i = 0; i < row; ++i) values[row] -= factor_[row_start(row) + i] * values[i];
    values[row] /= factor_[row_start(row) + row];
  }
}

}  // namespace duet
