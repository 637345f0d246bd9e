#include <algorithm>
#include <optional>

#include "tuner/search/strategies.h"

namespace duet {
namespace {

class DescentStrategy : public SearchStrategy {
 public:
  explicit DescentStrategy(SearchPoints space)
      : space_(std::move(space)), order_(predicted_order(space_)), tried_(space_.size(), false) {}

  std::optional<std::size_t> propose() override {
    const std::optional<std::size_t> next = best_ ? untried_neighbour(*best_) : std::nullopt;
    const std::optional<std::size_t> chosen = next ? next : best_untried();
    if (chosen) tried_[*chosen] = true;
    return chosen;
  }

  void report(std::size_t index, const SearchResult& result) override {
    if (!result.valid || (best_ && result.time_us >= best_us_)) return;
    best_ = index;
    best_us_ = result.time_us;
  }

 private:
  static int differences(const SearchPoint& a, const SearchPoint& b) {
    int count = 0;
    for (std::size_t i = 0; i < std::min(a.parameters.size(), b.parameters.size()); ++i)
      count += a.parameters[i].second != b.parameters[i].second ? 1 : 0;
    return count;
  }
  std::optional<std::size_t> untried_neighbour(std::size_t centre) const {
    for (std::size_t index : order_)
      if (!tried_[index] && differences(space_[index], space_[centre]) <= 1) return index;
    return std::nullopt;
  }
  std::optional<std::size_t> best_untried() const {
    for (std::size_t index : order_)
      if (!tried_[index]) return index;
    return std::nullopt;
  }

  SearchPoints space_;
  std::vector<std::size_t> order_;
  std::vector<bool> tried_;
  std::optional<std::size_t> best_;
  double best_us_ = 0;
};

}  // namespace

std::unique_ptr<SearchStrategy> make_descent_strategy(SearchPoints space) {
  return std::make_unique<DescentStrategy>(std::move(space));
}

}  // namespace duet
