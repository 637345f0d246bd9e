// Random numbers whose sequence a seed decides on every standard library, which std::shuffle and the distributions of
// <random> do not promise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

namespace duet {

class RandomSource {
 public:
  explicit RandomSource(std::uint64_t seed) : generator_(seed) {}

  // In [0, count); `count` > 0.
  std::size_t below(std::size_t count) { return static_cast<std::size_t>(generator_() % count); }
  // In [0, 1).
  double uniform() {
    constexpr int kDroppedBits = 11;  // 53 remain: a double's
    return static_cast<double>(generator_() >> kDroppedBits) * 0x1.0p-53;
  }
  template <typename T>
  void shuffle(std::vector<T>& values) {
    for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[below(i)]);
  }

 private:
  std::mt19937_64 generator_;
};

}  // namespace duet
