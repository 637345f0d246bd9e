#include "tuner/search_mark.h"

#include <fmt/format.h>

#include <array>
#include <cstdio>

namespace duet {
namespace {

constexpr std::array<std::string_view, 4> kEndNames = {"all", "limit", "gain", "budget"};

std::optional<SearchEnd> end_of(std::string_view name) {
  for (std::size_t i = 0; i < kEndNames.size(); ++i)
    if (kEndNames[i] == name) return static_cast<SearchEnd>(i);
  return std::nullopt;
}

}  // namespace

std::string mark_text(const SearchMark& mark) {
  return fmt::format("race {}: {}; search {}: {} of {} tried, ended by {} {}", mark.race, mark.won ? "won" : "ran",
                     mark.strategy, mark.tried, mark.space, kEndNames[static_cast<std::size_t>(mark.end)],
                     mark.end_value);
}

std::optional<SearchMark> parse_mark(std::string_view detail) {
  constexpr int kFields = 7;
  char race[33] = {}, place[8] = {}, strategy[33] = {}, end[8] = {};
  SearchMark mark;
  const std::string text(detail);
  const int read =
      std::sscanf(text.c_str(), "race %32[0-9a-f]: %7[a-z]; search %32[a-z_]: %d of %d tried, ended by %7[a-z] %lf",
                  race, place, strategy, &mark.tried, &mark.space, end, &mark.end_value);
  const std::optional<SearchEnd> known_end = end_of(end);
  if (read != kFields || !known_end) return std::nullopt;
  mark.race = race;
  mark.won = std::string_view(place) == "won";
  mark.strategy = strategy;
  mark.end = *known_end;
  return mark;
}

bool satisfies(const SearchMark& mark, const SearchDemand& demand) {
  if (mark.strategy != demand.strategy) return false;
  if (mark.end == SearchEnd::all || mark.tried >= mark.space) return true;
  if (demand.max_candidates > 0 && mark.tried >= demand.max_candidates) return true;
  if (mark.end == SearchEnd::gain) return demand.min_gain > 0 && demand.min_gain >= mark.end_value;
  if (mark.end == SearchEnd::budget) return demand.budget_s > 0 && demand.budget_s <= mark.end_value;
  return false;
}

}  // namespace duet
