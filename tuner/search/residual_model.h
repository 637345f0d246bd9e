// How far predicted times are off, learned from few results: a Gaussian process over configurations on the logarithm of
// time over prediction. Neighbours are off alike; where nothing near is known the prediction stands, corrected by what
// predictions are off as a whole and by the power of them that times go with: a model that tells nothing, or the
// opposite, loses its say as results come in. The deviation says how far the corrected prediction may be off.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "tuner/search/encoded_space.h"

namespace duet {

struct ResidualSample {
  std::size_t index = 0;  // of the space
  double log_ratio = 0;   // of time over prediction
};

struct Residual {
  double mean = 0, deviation = 0;
};

class ResidualModel {
 public:
  // Both, of equal size, must outlive the model.
  ResidualModel(const EncodedSpace& space, const std::vector<double>& log_predicted)
      : space_(&space), log_predicted_(&log_predicted) {}

  // `samples` must not be empty.
  void fit(std::span<const ResidualSample> samples);
  // After a fit.
  Residual predict(std::size_t index) const;

 private:
  double covariance(std::size_t a, std::size_t b) const;
  void factorize();
  void divide_by_factor(std::vector<double>& values) const;

  const EncodedSpace* space_;
  const std::vector<double>* log_predicted_;
  std::vector<std::size_t> known_;
  double middle_ = 0, middle_log_predicted_ = 0, variance_ = 0;  // of the samples
  std::vector<double> factor_;   // lower triangle of the covariances' Cholesky factor, row by row
  std::vector<double> weights_;  // the samples around `middle_`, divided by the factor
};

}  // namespace duet
