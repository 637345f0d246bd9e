#include "tuner/search/chooser.h"

#include <algorithm>
#include <limits>

namespace duet {

std::size_t nearest_unproposed(std::span<const std::uint16_t> levels, const TrialHistory& history,
                               RandomSource& random) {
  const std::size_t exact = history.space().find(levels);
  if (exact != EncodedSpace::kNone && !history.is_proposed(exact)) return exact;
  double best = std::numeric_limits<double>::infinity();
  std::size_t nearest = EncodedSpace::kNone, equal = 0;
  for (const std::size_t index : history.unproposed()) {
    const double distance = history.space().distance(levels, index);
    if (distance > best) continue;
    equal = distance < best ? 1 : equal + 1;
    best = distance;
    if (equal == 1 || random.below(equal) == 0) nearest = index;
  }
  return nearest;
}

std::size_t space_filling(const TrialHistory& history, RandomSource& random) {
  constexpr int kDraws = 10;
  double farthest = -1;
  std::size_t chosen = 0;
  for (int draw = 0; draw < kDraws; ++draw) {
    const std::size_t index = history.random_unproposed(random);
    double nearest = std::numeric_limits<double>::infinity();
    for (const Trial& trial : history.trials())
      nearest = std::min(nearest, history.space().distance(history.space().levels(index), trial.index));
    if (nearest <= farthest) continue;
    farthest = nearest;
    chosen = index;
  }
  return chosen;
}

std::optional<std::size_t> unproposed_neighbour(std::size_t index, const TrialHistory& history, RandomSource& random) {
  std::vector<std::size_t> neighbours;
  history.space().neighbours(index, neighbours);
  std::erase_if(neighbours, [&](std::size_t neighbour) { return history.is_proposed(neighbour); });
  if (neighbours.empty()) return std::nullopt;
  return neighbours[random.below(neighbours.size())];
}

}  // namespace duet
