// Search strategies. A strategy sees a space (parameter names and values of each configuration) and the results it
// asked for, and nothing of kernels or devices: it can be replayed on recorded spaces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace duet {

struct SearchPoint {
  std::vector<std::pair<std::string, int>> parameters;
  double predicted_us = 0;  // by the cost model; 0 when there is none
};
using SearchPoints = std::vector<SearchPoint>;

struct SearchResult {
  bool valid = false;  // compiled, verified and timed
  double time_us = 0;
};

class SearchStrategy {
 public:
  virtual ~SearchStrategy() = default;
  // The next configuration to try, each at most once; none when there is nothing left to try. Several may be proposed
  // before the first is reported.
  virtual std::optional<std::size_t> propose() = 0;
  virtual void report(std::size_t index, const SearchResult& result) = 0;
};

// "exhaustive": in the space's order. "random": each once, in an order that `seed` decides. "model_order": best
// predicted first. "descent": from the best predicted, then around the best found, one parameter changed at a time;
// restarts at the best predicted configuration not yet tried. The others learn from results and from nothing else
// (tuner/search/choosers.h describes each): "local", "elite", "annealing", "genetic", "differential_evolution",
// "surrogate", and "portfolio", which lends its trials to several of them as results come in. They are the same search
// for a space whose rows or parameters are listed in another order. All end with every configuration tried. Throws
// Error(usage) listing the names when the name is unknown.
std::unique_ptr<SearchStrategy> make_strategy(std::string_view name, SearchPoints space, std::uint64_t seed);
std::vector<std::string_view> strategy_names();

}  // namespace duet
