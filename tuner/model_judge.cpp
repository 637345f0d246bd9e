#include "tuner/model_judge.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
#include <numeric>

#include "tuner/stats.h"

namespace duet {
namespace {

// 1 for the least; equal values share the mean of their ranks.
std::vector<double> ranks_of(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (std::size_t first = 0; first < order.size();) {
    std::size_t end = first;
    while (end < order.size() && values[order[end]] == values[order[first]]) ++end;
    for (std::size_t i = first; i < end; ++i) ranks[order[i]] = static_cast<double>(first + 1 + end) / 2;
    first = end;
  }
  return ranks;
}

double mean(std::span<const double> values) {
  return values.empty() ? 0 : std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::vector<double> predicted_times(const RecordedProblem& problem, const DeviceSpec& device,
                                    const CostFactors& factors) {
  std::vector<double> times;
  for (const RecordedCandidate& candidate : problem.candidates)
    times.push_back(predict(candidate.inputs, device, factors).total_us);
  return times;
}

std::vector<double> measured_times(const RecordedProblem& problem) {
  std::vector<double> times;
  for (const RecordedCandidate& candidate : problem.candidates) times.push_back(candidate.time_us);
  return times;
}

// The fastest of those that the model ranks first.
double best_of_top(const std::vector<double>& predicted, const std::vector<double>& measured) {
  std::vector<std::size_t> order(predicted.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return predicted[a] < predicted[b]; });
  double best = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < std::min(kTop, order.size()); ++i) best = std::min(best, measured[order[i]]);
  return best;
}

// That kTop of them, drawn without return, hold one of the good ones.
double chance_of_hit(const std::vector<double>& measured, double limit) {
  const auto good =
      static_cast<double>(std::count_if(measured.begin(), measured.end(), [&](double time) { return time <= limit; }));
  const auto all = static_cast<double>(measured.size());
  double miss = 1;
  for (double drawn = 0; drawn < static_cast<double>(std::min(kTop, measured.size())); ++drawn)
    miss *= std::max(0.0, all - good - drawn) / (all - drawn);
  return 1 - miss;
}

SpaceJudgement judge_space(const RecordedSpaces& folder, const RecordedProblem& problem, const CostFactors& factors) {
  const std::vector<double> predicted = predicted_times(problem, folder.device, factors);
  const std::vector<double> measured = measured_times(problem);
  const double best = *std::min_element(measured.begin(), measured.end());
  SpaceJudgement judgement{.device = folder.name,
                           .problem = problem.name,
                           .family = std::string(family_name(problem.spec)),
                           .candidates = static_cast<int>(measured.size()),
                           .rank_correlation = rank_correlation(predicted, measured),
                           .top_over_best = best_of_top(predicted, measured) / best,
                           .random_hit = chance_of_hit(measured, kNearTheBest * best),
                           .relative_errors = {},
                           .predicted_us = predicted,
                           .measured_us = measured};
  for (std::size_t i = 0; i < measured.size(); ++i)
    judgement.relative_errors.push_back(std::abs(predicted[i] / measured[i] - 1));
  return judgement;
}

void add_relative(std::vector<double>& to, const std::vector<double>& times) {
  const double middle = median(times);
  for (const double time : times) to.push_back(time / middle);
}

FamilyJudgement summarise(const std::string& family, std::span<const SpaceJudgement* const> spaces) {
  FamilyJudgement summary{.family = family};
  std::vector<double> correlations, errors, predicted, measured;
  for (const SpaceJudgement* space : spaces) {
    summary.candidates += space->candidates;
    correlations.push_back(space->rank_correlation);
    errors.insert(errors.end(), space->relative_errors.begin(), space->relative_errors.end());
    add_relative(predicted, space->predicted_us);
    add_relative(measured, space->measured_us);
    if (space->candidates < kLeastForTop) continue;
    ++summary.top_spaces;
    summary.top_hits += space->top_over_best <= kNearTheBest ? 1 : 0;
    summary.random_hits += space->random_hit;
  }
  constexpr double kP90 = 0.9;
  summary.spaces = static_cast<int>(spaces.size());
  summary.mean_correlation = mean(correlations);
  summary.median_correlation = median(correlations);
  summary.least_correlation = *std::min_element(correlations.begin(), correlations.end());
  summary.pooled_correlation = rank_correlation(predicted, measured);
  summary.median_error = median(errors);
  summary.p90_error = percentile(errors, kP90);
  return summary;
}

}  // namespace

double rank_correlation(std::span<const double> a, std::span<const double> b) {
  const std::vector<double> ranks_a = ranks_of(a), ranks_b = ranks_of(b);
  const double mean_a = mean(ranks_a), mean_b = mean(ranks_b);
  double both = 0, square_a = 0, square_b = 0;
  for (std::size_t i = 0; i < ranks_a.size(); ++i) {
    const double off_a = ranks_a[i] - mean_a, off_b = ranks_b[i] - mean_b;
    both += off_a * off_b;
    square_a += off_a * off_a;
    square_b += off_b * off_b;
  }
  return square_a > 0 && square_b > 0 ? both / std::sqrt(square_a * square_b) : 0;
}

std::vector<SpaceJudgement> judge_spaces(std::span<const RecordedSpaces> folders, const FactorsOf& factors, int least) {
  std::vector<SpaceJudgement> judged;
  for (const RecordedSpaces& folder : folders)
    for (const RecordedProblem& problem : folder.problems)
      if (static_cast<int>(problem.candidates.size()) >= std::max(least, 1))
        judged.push_back(judge_space(folder, problem, factors(family_name(problem.spec))));
  return judged;
}

std::vector<FamilyJudgement> judge_families(std::span<const SpaceJudgement> spaces) {
  std::map<std::string, std::vector<const SpaceJudgement*>> by_family;
  for (const SpaceJudgement& space : spaces) by_family[space.family].push_back(&space);
  std::vector<FamilyJudgement> judged;
  for (const auto& [family, members] : by_family) judged.push_back(summarise(family, members));
  return judged;
}

}  // namespace duet
