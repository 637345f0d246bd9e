// Looks at everything around the fastest few of a search that is about to end. Where a search was cut short, chance
// decides which of many near-equals it has met; all of them are met by whoever looks at every neighbour of the best,
// and at theirs where these are as good.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "tuner/search.h"
#include "tuner/search/encoded_space.h"

namespace duet {

class Neighbourhood {
 public:
  explicit Neighbourhood(const SearchPoints& points);

  void report(std::size_t index, const SearchResult& result);
  // One that is not known yet and differs in one parameter from one of the fastest; none when there is none left.
  std::optional<std::size_t> propose();

 private:
  bool expand_next();

  EncodedSpace space_;
  std::vector<bool> known_, expanded_;                   // by the space's own index
  std::vector<std::pair<double, std::size_t>> fastest_;  // time and the space's own index
  std::deque<std::size_t> queue_;
};

}  // namespace duet
