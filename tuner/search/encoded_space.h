// A space as the strategies see it: each parameter's values by rank, so that a strategy knows neither names nor units,
// and an index from values to configurations, so that a neighbour is looked up, never guessed and rejected.
//
// Rows and parameters are put into an order of their own, decided by their values: however a file orders them, a seed
// means the same search.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "tuner/search.h"

namespace duet {

class EncodedSpace {
 public:
  explicit EncodedSpace(const SearchPoints& points);

  std::size_t size() const { return original_.size(); }
  std::size_t parameters() const { return level_counts_.size(); }  // those with more than one value
  int level_count(std::size_t parameter) const { return level_counts_[parameter]; }
  // The ranks of a configuration's values, one for each parameter.
  std::span<const std::uint16_t> levels(std::size_t index) const {
    return {levels_.data() + index * parameters(), parameters()};
  }
  double predicted_us(std::size_t index) const { return predicted_us_[index]; }
  bool has_predictions() const { return has_predictions_; }
  // The place of a configuration in the points that the space was made of.
  std::size_t original(std::size_t index) const { return original_[index]; }
  std::size_t of_original(std::size_t original) const { return encoded_[original]; }

  static constexpr std::size_t kNone = ~std::size_t{0};
  std::size_t find(std::span<const std::uint16_t> levels) const;  // kNone: outside the space
  // Those that differ in one parameter.
  void neighbours(std::size_t index, std::vector<std::size_t>& found) const;
  // How far `levels` lie from a configuration: a parameter that differs counts one, and up to one more by how many
  // ranks.
  double distance(std::span<const std::uint16_t> levels, std::size_t index) const;

 private:
  std::vector<int> level_counts_;
  std::vector<std::uint16_t> levels_;
  std::vector<double> predicted_us_;
  bool has_predictions_ = false;
  std::vector<std::size_t> original_, encoded_;
  std::unordered_map<std::uint64_t, std::size_t> by_hash_;
};

}  // namespace duet
