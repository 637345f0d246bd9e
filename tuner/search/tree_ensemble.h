// Regression trees on bootstrap samples, over ranks of values: the mean of the trees is the prediction, their spread
// what they do not know.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tuner/search/random_source.h"

namespace duet {

struct TreeSample {
  std::span<const std::uint16_t> levels;
  double value = 0;
};

struct TreePrediction {
  double mean = 0, deviation = 0;
};

class TreeEnsemble {
 public:
  // `samples` must not be empty; all have equally many levels.
  void fit(std::span<const TreeSample> samples, int trees, RandomSource& random);
  TreePrediction predict(std::span<const std::uint16_t> levels) const;

 private:
  struct Node {
    std::int32_t parameter = -1;  // -1: a leaf
    std::int32_t threshold = 0;   // levels up to it go to the next node, others to `right`
    std::int32_t right = 0;
    float value = 0;
  };
  struct Split {
    std::int32_t parameter = -1, threshold = 0;
    double gain = 0;
  };
  void grow(std::span<const TreeSample> samples, std::span<std::uint32_t> chosen, RandomSource& random);
  Split best_split(std::span<const TreeSample> samples, std::span<const std::uint32_t> chosen, RandomSource& random);
  void try_parameter(std::span<const TreeSample> samples, std::span<const std::uint32_t> chosen, std::size_t parameter,
                     Split& best);

  std::vector<Node> nodes_;
  std::vector<std::int32_t> roots_;
  std::vector<double> sums_;  // of one parameter's levels, while a split is sought
  std::vector<std::uint32_t> counts_;
};

}  // namespace duet
