// How well the cost model predicts what was recorded: the order of a space's candidates, and their times.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tuner/recorded_problems.h"

namespace duet {

// A space with fewer timed candidates says little of an order: left out of what is judged.
inline constexpr int kLeastJudged = 8;
// With fewer, ten of them are nearly the whole space: left out where the first ten are judged.
inline constexpr int kLeastForTop = 12;
inline constexpr std::size_t kTop = 10;       // of the model's order
inline constexpr double kNearTheBest = 1.05;  // times the best of the space

// Spearman's: Pearson's correlation of ranks, equal values sharing the mean of theirs. 0 where either side is constant.
double rank_correlation(std::span<const double> a, std::span<const double> b);

struct SpaceJudgement {
  std::string device, problem, family;
  int candidates = 0;
  double rank_correlation = 0;
  double top_over_best = 0;             // the fastest of the model's first ten, relative to the space's best
  double random_hit = 0;                // the chance that ten at random hold one within 5% of the best
  std::vector<double> relative_errors;  // |predicted / measured - 1| of each candidate
  std::vector<double> predicted_us, measured_us;
};

struct FamilyJudgement {
  std::string family;
  int spaces = 0, candidates = 0;
  double mean_correlation = 0, median_correlation = 0, least_correlation = 0;  // over spaces
  double pooled_correlation = 0;     // of all candidates' times relative to their space's median
  int top_spaces = 0, top_hits = 0;  // of kLeastForTop or more; those whose first ten come within 5% of the best
  double random_hits = 0;            // how many of them ten at random would, in expectation
  double median_error = 0, p90_error = 0;
};

using FactorsOf = std::function<CostFactors(std::string_view family)>;

// Spaces of `least` candidates or more, in their order.
std::vector<SpaceJudgement> judge_spaces(std::span<const RecordedSpaces> folders, const FactorsOf& factors,
                                         int least = kLeastJudged);
// By family, in the order of their names.
std::vector<FamilyJudgement> judge_families(std::span<const SpaceJudgement> spaces);

}  // namespace duet
