#include "tuner/search/neighbourhood.h"

#include <algorithm>

namespace duet {
namespace {

constexpr std::size_t kFastest = 4;  // whose neighbours are looked at
constexpr double kNear = 1.02;       // and how much slower than the best they may be

}  // namespace

Neighbourhood::Neighbourhood(const SearchPoints& points)
    : space_(points), known_(points.size(), false), expanded_(points.size(), false) {}

void Neighbourhood::report(std::size_t original, const SearchResult& result) {
  const std::size_t index = space_.of_original(original);
  known_[index] = true;
  if (!result.valid || result.time_us <= 0) return;
  const std::pair<double, std::size_t> entry{result.time_us, index};
  fastest_.insert(std::upper_bound(fastest_.begin(), fastest_.end(), entry), entry);
  if (fastest_.size() > kFastest) fastest_.pop_back();
}

std::optional<std::size_t> Neighbourhood::propose() {
  do {
    while (!queue_.empty()) {
      const std::size_t index = queue_.front();
      queue_.pop_front();
      if (known_[index]) continue;
      known_[index] = true;
      return space_.original(index);
    }
  } while (expand_next());
  return std::nullopt;
}

bool Neighbourhood::expand_next() {
  for (const auto& [time_us, index] : fastest_) {
    if (expanded_[index] || time_us > kNear * fastest_.front().first) continue;
    expanded_[index] = true;
    std::vector<std::size_t> found;
    space_.neighbours(index, found);
    queue_.insert(queue_.end(), found.begin(), found.end());
    return true;
  }
  return false;
}

}  // namespace duet
