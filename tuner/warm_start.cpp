#include "tuner/warm_start.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "tuner/candidate_log.h"
#include "tuner/stats.h"

namespace duet {
namespace {

constexpr double kWordDistance = 0.25;

// "gemm f16 m=50 bias": a family, sizes by name, and other words.
struct ProblemWords {
  std::string family;
  std::map<std::string, double> sizes;
  std::set<std::string> words;
};

ProblemWords split(std::string_view text) {
  ProblemWords problem;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    const std::size_t equals = word.find('=');
    double size = 0;
    if (problem.family.empty()) {
      problem.family = word;
    } else if (equals != std::string_view::npos &&
               std::from_chars(word.data() + equals + 1, word.data() + word.size(), size).ec == std::errc() &&
               size > 0) {
      problem.sizes[std::string(word.substr(0, equals))] = size;
    } else {
      problem.words.emplace(word);
    }
  }
  return problem;
}

// A size that only one names is 1 in the other: batch=8 against none.
double size_distance(const std::map<std::string, double>& a, const std::map<std::string, double>& b) {
  double distance = 0;
  for (const auto& [name, size] : a) {
    const auto other = b.find(name);
    distance += std::abs(std::log(size / (other == b.end() ? 1 : other->second)));
  }
  for (const auto& [name, size] : b) distance += a.contains(name) ? 0 : std::abs(std::log(size));
  return distance;
}

// One configuration on all devices that know it.
struct KnownConfig {
  int devices = 0;
  double log_sum = 0;
  bool is_best = false;

  void add(const KnownCandidate& candidate) {
    ++devices;
    log_sum += std::log(candidate.over_model);
    is_best = is_best || candidate.is_best;
  }
  // The square root of the mean.
  double correction() const { return devices > 0 ? std::exp(log_sum / devices / 2) : 1; }
};

// A weight matrix's vocabulary is a range of rows to choose from: its size changes nothing.
void drop_vocabulary(ProblemWords& problem) { problem.sizes.erase("vocabulary"); }

}  // namespace

std::optional<double> problem_distance(std::string_view a, std::string_view b) {
  ProblemWords one = split(a), other = split(b);
  if (one.family != other.family) return std::nullopt;
  drop_vocabulary(one);
  drop_vocabulary(other);
  std::vector<std::string> apart;
  std::set_symmetric_difference(one.words.begin(), one.words.end(), other.words.begin(), other.words.end(),
                                std::back_inserter(apart));
  return size_distance(one.sizes, other.sizes) + kWordDistance * static_cast<double>(apart.size());
}

KnownSpaces::KnownSpaces(const PlanStore& store) : store_(store) {
  for (const CandidateSpace& space : store.spaces())
    if (space.timed > 0) places_.push_back({.device = space.device, .problem = space.problem, .chosen = {}});
  if (places_.empty()) add_choices();
}

void KnownSpaces::add_choices() {
  std::map<std::pair<std::string, std::string>, std::set<std::string>> chosen;
  for (const PlanSummary& plan : store_.list()) {
    if (plan.provenance != Provenance::measured) continue;
    for (const KernelChoice& choice : store_.load(plan.id).choices)
      chosen[{choice.device, choice.problem}].insert({choice.config, choice.alone_config});
  }
  for (const auto& [place, configs] : chosen) {
    Place& added = places_.emplace_back(Place{.device = place.first, .problem = place.second, .chosen = {}});
    for (const std::string& config : configs) added.chosen.push_back({.config = config, .is_best = true});
  }
}

KnownSpace KnownSpaces::load(const Place& place) const {
  KnownSpace space{.device = place.device, .problem = place.problem, .candidates = place.chosen};
  if (!space.candidates.empty()) return space;
  std::vector<double> times_us, predicted_us;
  for (const CandidateRecord& record : store_.candidates(place.device, place.problem)) {
    if (record.status != kStatusOk || record.provenance != Provenance::measured || record.median_us <= 0) continue;
    space.candidates.push_back({.config = record.config});
    times_us.push_back(record.median_us);
    predicted_us.push_back(record.predicted_us);
  }
  set_figures(space, times_us, predicted_us);
  return space;
}

std::vector<KnownSpace> KnownSpaces::of(std::string_view problem, std::string_view device) const {
  const auto distance_to = [&](const Place& place) -> std::optional<double> {
    if (place.problem == problem && place.device == device) return std::nullopt;  // the tuner knows these itself
    return problem_distance(place.problem, problem);
  };
  double nearest = kFarthest;
  for (const Place& place : places_)
    if (const std::optional<double> distance = distance_to(place)) nearest = std::min(nearest, *distance);
  std::vector<KnownSpace> known;
  for (const Place& place : places_)
    if (const std::optional<double> distance = distance_to(place); distance && *distance <= nearest) {
      known.push_back(load(place));
      if (place.problem != problem && place.chosen.empty()) forget_best(known.back());
    }
  return known;
}

void forget_best(KnownSpace& space) {
  for (KnownCandidate& candidate : space.candidates) candidate.is_best = false;
}

void set_figures(KnownSpace& space, std::span<const double> times_us, std::span<const double> predicted_us) {
  const auto is_predicted = [&](std::size_t i) { return predicted_us[i] > 0 && std::isfinite(predicted_us[i]); };
  std::vector<double> ratios;
  for (std::size_t i = 0; i < space.candidates.size(); ++i)
    if (is_predicted(i)) ratios.push_back(times_us[i] / predicted_us[i]);
  const double middle = median(ratios);
  for (std::size_t i = 0; i < space.candidates.size(); ++i)
    if (is_predicted(i)) space.candidates[i].over_model = times_us[i] / predicted_us[i] / middle;
  if (const auto best = std::min_element(times_us.begin(), times_us.end()); best != times_us.end())
    space.candidates[static_cast<std::size_t>(best - times_us.begin())].is_best = true;
}

std::vector<std::size_t> warm_order(std::span<const KnownSpace> known, std::span<const std::string> configs,
                                    std::span<const double> predicted_us, std::size_t most) {
  std::map<std::string_view, KnownConfig> by_config;
  for (const KnownSpace& space : known)
    for (const KnownCandidate& candidate : space.candidates) by_config[candidate.config].add(candidate);
  std::vector<std::tuple<bool, double, std::size_t>> ranked;  // what was best elsewhere compares as less
  bool any = false;
  for (std::size_t i = 0; i < configs.size(); ++i) {
    const auto found = by_config.find(configs[i]);
    const KnownConfig config = found == by_config.end() ? KnownConfig{} : found->second;
    any = any || config.devices > 0;
    ranked.emplace_back(!config.is_best, predicted_us[i] * config.correction(), i);
  }
  if (!any) return {};
  std::sort(ranked.begin(), ranked.end());
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < std::min(most, ranked.size()); ++i) order.push_back(std::get<2>(ranked[i]));
  return order;
}

WarmStrategy::WarmStrategy(std::vector<std::size_t> first, std::unique_ptr<SearchStrategy> then)
    : first_(std::move(first)), then_(std::move(then)) {}

bool WarmStrategy::is_first(std::size_t index) const {
  return std::find(first_.begin(), first_.end(), index) != first_.end();
}

std::optional<std::size_t> WarmStrategy::propose() {
  if (next_ < first_.size()) return first_[next_++];
  std::optional<std::size_t> index = then_->propose();
  while (index && is_first(*index)) index = then_->propose();
  return index;
}

void WarmStrategy::report(std::size_t index, const SearchResult& result) {
  if (result.valid && is_first(index))
    best_first_us_ = std::min(result.time_us, best_first_us_.value_or(result.time_us));
  then_->report(index, result);
}

}  // namespace duet
