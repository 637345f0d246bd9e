#include "tuner/transfer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <set>

#include "tuner/warm_start.h"

namespace duet {
namespace {

std::vector<double> times_of(const RecordedProblem& problem) {
  std::vector<double> times;
  for (const RecordedCandidate& candidate : problem.candidates) times.push_back(candidate.time_us);
  return times;
}

// The problem itself, or the nearest other one; null where none is near enough.
const RecordedProblem* find_source(const RecordedSpaces& from, const std::string& problem, bool other_shapes) {
  const RecordedProblem* nearest = nullptr;
  double least = kFarthest;
  for (const RecordedProblem& source : from.problems) {
    if (source.name == problem) {
      if (other_shapes) continue;
      return &source;
    }
    const std::optional<double> distance = problem_distance(source.name, problem);
    if (!distance || *distance > least) continue;
    least = *distance;
    nearest = &source;
  }
  return nearest;
}

using Order = std::vector<std::size_t>;

Order order_by(const std::vector<double>& values) {
  Order order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  return order;
}

std::vector<double> predictions(const RecordedProblem& problem, const DeviceSpec& device, const CostFactors& factors) {
  std::vector<double> predicted;
  for (const RecordedCandidate& candidate : problem.candidates)
    predicted.push_back(predict(candidate.inputs, device, factors).total_us);
  return predicted;
}

std::vector<std::string> configs_of(const RecordedProblem& problem) {
  std::vector<std::string> configs;
  for (const RecordedCandidate& candidate : problem.candidates) configs.push_back(config_text(candidate.tile));
  return configs;
}

// As a store would give it.
KnownSpace known_space(const RecordedProblem& source, const DeviceSpec& device, const CostFactors& factors) {
  KnownSpace space{.device = device.name, .problem = source.name, .candidates = {}};
  for (const std::string& config : configs_of(source)) space.candidates.push_back({.config = config});
  set_figures(space, times_of(source), predictions(source, device, factors));
  return space;
}

int shared_count(const KnownSpace& known, const std::vector<std::string>& configs) {
  std::set<std::string> names;
  for (const KnownCandidate& candidate : known.candidates) names.insert(candidate.config);
  return static_cast<int>(
      std::count_if(configs.begin(), configs.end(), [&](const std::string& config) { return names.contains(config); }));
}

Regrets regrets_of(const Order& order, const std::vector<double>& times) {
  const double best = *std::min_element(times.begin(), times.end());
  Regrets regrets{};
  for (std::size_t i = 0; i < regrets.size(); ++i) {
    double found = std::numeric_limits<double>::infinity();
    for (std::size_t trial = 0; trial < std::min(kTransferTrials[i], order.size()); ++trial)
      found = std::min(found, times[order[trial]]);
    regrets[i] = found / best;
  }
  return regrets;
}

// The least of n drawn without return, in expectation: the i-th fastest is it when the n - 1 others are slower.
double expected_best(const std::vector<double>& sorted, std::size_t draws) {
  const std::size_t n = std::min(draws, sorted.size());
  const auto all = static_cast<double>(sorted.size());
  double expected = 0, none_before = 1;  // none of the faster ones was drawn
  for (std::size_t i = 0; i + n <= sorted.size(); ++i) {
    const double drawn = static_cast<double>(n) / (all - static_cast<double>(i));
    expected += none_before * drawn * sorted[i];
    none_before *= 1 - drawn;
  }
  return expected;
}

Regrets random_regrets(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  Regrets regrets{};
  for (std::size_t i = 0; i < regrets.size(); ++i)
    regrets[i] = expected_best(times, kTransferTrials[i]) / times.front();
  return regrets;
}

}  // namespace

std::vector<TransferResult> judge_transfer(const RecordedSpaces& from, const RecordedSpaces& to,
                                           const FactorsOf& factors, const TransferOptions& options) {
  std::vector<TransferResult> results;
  for (const RecordedProblem& target : to.problems) {
    if (static_cast<int>(target.candidates.size()) < std::max(options.least, 1)) continue;
    const RecordedProblem* source = find_source(from, target.name, options.other_shapes);
    if (source == nullptr) continue;
    const CostFactors family = factors(family_name(target.spec));
    const std::vector<double> times = times_of(target), predicted = predictions(target, to.device, family);
    KnownSpace known = known_space(*source, from.device, family);
    if (source->name != target.name) forget_best(known);
    const std::vector<std::string> configs = configs_of(target);
    const Order warm = warm_order({&known, 1}, configs, predicted, times.size());
    if (warm.empty()) continue;
    const Order by_model = order_by(predicted);
    results.push_back({.problem = target.name,
                       .family = std::string(family_name(target.spec)),
                       .from_problem = source->name,
                       .candidates = static_cast<int>(times.size()),
                       .shared = shared_count(known, configs),
                       .warm = regrets_of(warm, times),
                       .model = regrets_of(by_model, times),
                       .random = random_regrets(times)});
  }
  return results;
}

}  // namespace duet
