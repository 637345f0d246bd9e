#include "tuner/search/tree_ensemble.h"

#include <algorithm>
#include <cmath>

namespace duet {

namespace {
constexpr std::size_t kSmallestSplit = 3;
constexpr double kParameterShare = 0.6;  // sought for each split
}  // namespace

void TreeEnsemble::fit(std::span<const TreeSample> samples, int trees, RandomSource& random) {
  nodes_.clear();
  roots_.clear();
  std::vector<std::uint32_t> chosen(samples.size());
  for (int tree = 0; tree < trees; ++tree) {
    for (std::uint32_t& sample : chosen) sample = static_cast<std::uint32_t>(random.below(samples.size()));
    roots_.push_back(static_cast<std::int32_t>(nodes_.size()));
    grow(samples, chosen, random);
  }
}

void TreeEnsemble::grow(std::span<const TreeSample> samples, std::span<std::uint32_t> chosen, RandomSource& random) {
  const std::size_t node = nodes_.size();
  double sum = 0;
  for (const std::uint32_t sample : chosen) sum += samples[sample].value;
  nodes_.push_back({.value = static_cast<float>(sum / static_cast<double>(chosen.size()))});
  if (chosen.size() < kSmallestSplit) return;
  const Split split = best_split(samples, chosen, random);
  if (split.parameter < 0) return;
  const auto middle = std::partition(chosen.begin(), chosen.end(), [&](std::uint32_t sample) {
    return samples[sample].levels[static_cast<std::size_t>(split.parameter)] <= split.threshold;
  });
  const auto left = static_cast<std::size_t>(middle - chosen.begin());
  nodes_[node].parameter = split.parameter;
  nodes_[node].threshold = split.threshold;
  grow(samples, chosen.subspan(0, left), random);
  nodes_[node].right = static_cast<std::int32_t>(nodes_.size());
  grow(samples, chosen.subspan(left), random);
}

TreeEnsemble::Split TreeEnsemble::best_split(std::span<const TreeSample> samples, std::span<const std::uint32_t> chosen,
                                             RandomSource& random) {
  const std::size_t parameters = samples.front().levels.size();
  Split best;
  for (std::size_t parameter = 0; parameter < parameters; ++parameter)
    if (random.uniform() < kParameterShare) try_parameter(samples, chosen, parameter, best);
  if (best.parameter < 0)
    for (std::size_t parameter = 0; parameter < parameters; ++parameter)
      try_parameter(samples, chosen, parameter, best);
  return best;
}

void TreeEnsemble::try_parameter(std::span<const TreeSample> samples, std::span<const std::uint32_t> chosen,
                                 std::size_t parameter, Split& best) {
  sums_.clear();
  counts_.clear();
  double total = 0;
  for (const std::uint32_t sample : chosen) {
    const std::size_t level = samples[sample].levels[parameter];
    if (level >= sums_.size()) sums_.resize(level + 1, 0), counts_.resize(level + 1, 0);
    sums_[level] += samples[sample].value;
    ++counts_[level];
    total += samples[sample].value;
  }
  const auto count = static_cast<double>(chosen.size());
  double left_sum = 0, left_count = 0;
  std::int32_t last = -1;
  for (std::size_t level = 0; level < sums_.size(); ++level) {
    if (counts_[level] == 0) continue;
    if (last >= 0) {
      const double right_sum = total - left_sum, right_count = count - left_count;
      const double gain =
          left_sum * left_sum / left_count + right_sum * right_sum / right_count - total * total / count;
      if (gain > best.gain + 1e-12)
        best = {.parameter = static_cast<std::int32_t>(parameter),
                .threshold = (last + static_cast<std::int32_t>(level)) / 2,
                .gain = gain};
    }
    left_sum += sums_[level];
    left_count += counts_[level];
    last = static_cast<std::int32_t>(level);
  }
}

TreePrediction TreeEnsemble::predict(std::span<const std::uint16_t> levels) const {
  double sum = 0, squares = 0;
  for (const std::int32_t root : roots_) {
    auto at = static_cast<std::size_t>(root);
    while (nodes_[at].parameter >= 0) {
      const Node& node = nodes_[at];
      at = levels[static_cast<std::size_t>(node.parameter)] <= node.threshold ? at + 1
                                                                              : static_cast<std::size_t>(node.right);
    }
    sum += nodes_[at].value;
    squares += static_cast<double>(nodes_[at].value) * nodes_[at].value;
  }
  const auto trees = static_cast<double>(roots_.size());
  const double mean = sum / trees;
  return {.mean = mean, .deviation = std::sqrt(std::max(0.0, squares / trees - mean * mean))};
}

}  // namespace duet
