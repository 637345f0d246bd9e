#include "tuner/search.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "tuner/search/strategies.h"

namespace duet {
namespace {

struct NamedStrategy {
  std::string_view name;
  std::unique_ptr<SearchStrategy> (*make)(SearchPoints space, std::uint64_t seed);
};

template <std::unique_ptr<Chooser> (*make_chooser)()>
std::unique_ptr<SearchStrategy> make_of_chooser(SearchPoints space, std::uint64_t seed) {
  return make_chooser_strategy(space, make_chooser(), seed);
}

std::unique_ptr<SearchStrategy> make_exhaustive(SearchPoints space, std::uint64_t) {
  return make_ordered_strategy(natural_order(space));
}
std::unique_ptr<SearchStrategy> make_random(SearchPoints space, std::uint64_t seed) {
  return make_ordered_strategy(random_order(space, seed));
}
std::unique_ptr<SearchStrategy> make_model_order(SearchPoints space, std::uint64_t) {
  return make_ordered_strategy(predicted_order(space));
}
std::unique_ptr<SearchStrategy> make_descent(SearchPoints space, std::uint64_t) {
  return make_descent_strategy(std::move(space));
}
std::unique_ptr<SearchStrategy> make_surrogate(SearchPoints space, std::uint64_t seed) {
  const bool predicted = std::ranges::any_of(space, [](const SearchPoint& point) { return point.predicted_us > 0; });
  return make_chooser_strategy(space, predicted ? make_residual_search() : make_surrogate_search(), seed);
}

constexpr std::array<NamedStrategy, 11> kStrategies = {{
    {"exhaustive", make_exhaustive},
    {"random", make_random},
    {"model_order", make_model_order},
    {"descent", make_descent},
    {"local", make_of_chooser<make_local_search>},
    {"elite", make_of_chooser<make_elite_search>},
    {"annealing", make_of_chooser<make_annealing>},
    {"genetic", make_of_chooser<make_genetic_search>},
    {"differential_evolution", make_of_chooser<make_differential_evolution>},
    {"surrogate", make_surrogate},
    {"portfolio", make_of_chooser<make_portfolio>},
}};

}  // namespace

std::vector<std::string_view> strategy_names() {
  std::vector<std::string_view> names;
  for (const NamedStrategy& strategy : kStrategies) names.push_back(strategy.name);
  return names;
}

std::unique_ptr<SearchStrategy> make_strategy(std::string_view name, SearchPoints space, std::uint64_t seed) {
  for (const NamedStrategy& strategy : kStrategies)
    if (strategy.name == name) return strategy.make(std::move(space), seed);
  fail(ErrorKind::usage, "unknown search strategy '{}': use {}", name, fmt::join(strategy_names(), ", "));
}

}  // namespace duet
