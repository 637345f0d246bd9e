// What a candidate's record says of the race that ended its problem's search: from it a later run knows that there is
// nothing left to do. It is the record's detail, a line that people read too:
//
//   race 1f2e3d4c: won; search portfolio: 412 of 1282 tried, ended by gain 0.005
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace duet {

// Why a search went no further.
enum class SearchEnd { all, limit, gain, budget };

struct SearchMark {
  std::string race{};  // the same for all that ran in it
  bool won = false;
  std::string strategy{};
  int tried = 0, space = 0;  // candidates known by then, of those that can run
  SearchEnd end = SearchEnd::all;
  double end_value = 0;  // that many candidates; that expected gain; that many seconds

  bool operator==(const SearchMark&) const = default;
};

std::string mark_text(const SearchMark& mark);
// None where the detail is another.
std::optional<SearchMark> parse_mark(std::string_view detail);

// What a run asks of a search.
struct SearchDemand {
  std::string strategy{};
  int max_candidates = 0;  // 0: no limit
  double min_gain = 0;     // 0: to the end
  double budget_s = 0;     // of the whole run; 0: no limit
};
// True when the search that left the mark went as far as is asked now. Of the same strategy; one that its budget ended
// goes on when a larger budget is given.
bool satisfies(const SearchMark& mark, const SearchDemand& demand);

}  // namespace duet
