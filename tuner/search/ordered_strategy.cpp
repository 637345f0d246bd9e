#include <algorithm>
#include <numeric>

#include "tuner/search/random_source.h"
#include "tuner/search/strategies.h"

namespace duet {
namespace {

class OrderedStrategy : public SearchStrategy {
 public:
  explicit OrderedStrategy(std::vector<std::size_t> order) : order_(std::move(order)) {}
  std::optional<std::size_t> propose() override {
    if (next_ == order_.size()) return std::nullopt;
    return order_[next_++];
  }
  void report(std::size_t, const SearchResult&) override {}

 private:
  std::vector<std::size_t> order_;
  std::size_t next_ = 0;
};

}  // namespace

std::vector<std::size_t> natural_order(const SearchPoints& space) {
  std::vector<std::size_t> order(space.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  return order;
}

std::vector<std::size_t> random_order(const SearchPoints& space, std::uint64_t seed) {
  std::vector<std::size_t> order = natural_order(space);
  RandomSource(seed).shuffle(order);
  return order;
}

std::vector<std::size_t> predicted_order(const SearchPoints& space) {
  std::vector<std::size_t> order = natural_order(space);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return space[a].predicted_us < space[b].predicted_us; });
  return order;
}

std::unique_ptr<SearchStrategy> make_ordered_strategy(std::vector<std::size_t> order) {
  return std::make_unique<OrderedStrategy>(std::move(order));
}

}  // namespace duet
