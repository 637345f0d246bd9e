// A recorded space as a search is replayed on it: configurations, and what trying each gives and costs.
//
//   const ReplayedSpace space = read_replayed_space("gemm.csv.gz");
//   std::unique_ptr<SearchStrategy> strategy = make_strategy("portfolio", space.points, 1);
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tuner/search.h"

namespace duet {

struct ReplayedSpace {
  std::string name;                     // the file's, without .csv.gz
  std::vector<std::string> parameters;  // the columns before time_ms
  SearchPoints points;
  std::vector<double> time_ms;  // of each point; 0: it failed
  std::vector<double> cost_s;   // of each point, to try it
};

// A table as recorded_space_csv writes it, or as such spaces are published: parameters, time_ms (empty: failed),
// cost_s; columns behind these are facts, not parameters, and are passed over. A parameter is numeric where every value
// is a number, else categorical; strategies see its values by rank. A cost that was not recorded counts as the median.
// Throws Error(input) naming `name`, line and value: no such column, no number, no valid row, too large.
ReplayedSpace parse_replayed_space(std::string_view csv, const std::string& name);
// The same from a .csv or .csv.gz file.
ReplayedSpace read_replayed_space(const std::filesystem::path& path);

}  // namespace duet
