#include "tuner/search.h"

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>
#include <random>

#include "base/error.h"
#include "tuner/search/choosers.h"

namespace duet {
namespace {

// A fixed order, whatever the results.
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

std::vector<std::size_t> natural_order(const SearchPoints& space) {
  std::vector<std::size_t> order(space.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  return order;
}

std::vector<std::size_t> random_order(const SearchPoints& space, std::uint64_t seed) {
  std::vector<std::size_t> order = natural_order(space);
  std::mt19937_64 generator(seed);
  // Not std::shuffle: its result differs between standard libraries, and a seed must mean the same everywhere.
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[generator() % i]);
  return order;
}

std::vector<std::size_t> predicted_order(const SearchPoints& space) {
  std::vector<std::size_t> order = natural_order(space);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return space[a].predicted_us < space[b].predicted_us; });
  return order;
}

// Hill descent over the neighbours of the best configuration so far.
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

// One chooser, on a history of its own.
class ChooserStrategy : public SearchStrategy {
 public:
  using Make = std::function<std::unique_ptr<Chooser>(const EncodedSpace&)>;
  ChooserStrategy(const SearchPoints& points, const Make& make, std::uint64_t seed)
      : space_(points), history_(space_), random_(seed), chooser_(make(space_)) {}

  std::optional<std::size_t> propose() override {
    if (history_.unproposed_count() == 0) return std::nullopt;
    const std::size_t index = chooser_->choose(history_, random_);
    history_.mark_proposed(index);
    return space_.original(index);
  }
  void report(std::size_t original, const SearchResult& result) override {
    const Trial trial{.index = space_.of_original(original), .valid = result.valid, .time_us = result.time_us};
    const bool own = history_.is_proposed(trial.index);
    history_.add(trial);
    chooser_->learn(trial, own, history_, random_);
  }

 private:
  EncodedSpace space_;
  TrialHistory history_;
  RandomSource random_;
  std::unique_ptr<Chooser> chooser_;
};

struct NamedChooser {
  std::string_view name;
  std::unique_ptr<Chooser> (*make)();
};
constexpr std::array<NamedChooser, 6> kChoosers = {{
    {"local", make_local_search},
    {"annealing", make_annealing},
    {"genetic", make_genetic_search},
    {"differential_evolution", make_differential_evolution},
    {"surrogate", [] { return make_surrogate_search(); }},
    {"elite", make_elite_search},
}};

constexpr std::array<std::string_view, 11> kNames = {
    "exhaustive", "random", "model_order", "descent", "local", "annealing", "genetic", "differential_evolution",
    "surrogate", "elite", "portfolio"};

}  // namespace

std::vector<std::string_view> strategy_names() { return {kNames.begin(), kNames.end()}; }

std::unique_ptr<SearchStrategy> make_strategy(std::string_view name, SearchPoints space, std::uint64_t seed) {
  if (name == "exhaustive") return std::make_unique<OrderedStrategy>(natural_order(space));
  if (name == "random") return std::make_unique<OrderedStrategy>(random_order(space, seed));
  if (name == "model_order") return std::make_unique<OrderedStrategy>(predicted_order(space));
  if (name == "descent") return std::make_unique<DescentStrategy>(std::move(space));
  for (const NamedChooser& named : kChoosers)
    if (name == named.name)
      return std::make_unique<ChooserStrategy>(space, [&](const EncodedSpace&) { return named.make(); }, seed);
  if (name == "portfolio") return std::make_unique<ChooserStrategy>(space, make_portfolio, seed);
  fail(ErrorKind::usage, "unknown search strategy '{}': use {}", name, fmt::join(kNames, ", "));
}

}  // namespace duet
