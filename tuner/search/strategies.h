// What the named strategies are made of; make_strategy (search.h) knows their names.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "tuner/search.h"
#include "tuner/search/choosers.h"

namespace duet {

std::vector<std::size_t> natural_order(const SearchPoints& space);
std::vector<std::size_t> random_order(const SearchPoints& space, std::uint64_t seed);
std::vector<std::size_t> predicted_order(const SearchPoints& space);  // the fastest predicted first

// A fixed order, whatever the results.
std::unique_ptr<SearchStrategy> make_ordered_strategy(std::vector<std::size_t> order);
// From the best predicted, then hill descent over the neighbours of the best found.
std::unique_ptr<SearchStrategy> make_descent_strategy(SearchPoints space);
// One chooser on a history of its own.
std::unique_ptr<SearchStrategy> make_chooser_strategy(const SearchPoints& space, std::unique_ptr<Chooser> chooser,
                                                      std::uint64_t seed);

}  // namespace duet
