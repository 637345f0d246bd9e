#include "tuner/kernel_tuner.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "tuner/elapsed.h"

namespace duet {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kPoll = std::chrono::milliseconds(50);
constexpr int kPredictedCandidates = 8;  // compiled per kernel where nothing can be measured
constexpr int kWarmCandidates = 5;       // known from elsewhere, tried first; of few at most half

bool stopped(const SearchLimits& limits) { return limits.stop != nullptr && limits.stop->load(); }

std::string count_text(const std::map<std::string, int>& counts) {
  std::string text;
  for (const auto& [what, count] : counts) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, what);
  return text;
}

}  // namespace

KernelTuner::KernelTuner(const Graph& graph, const LoweredGroup& group, const SearchSpace& space,
                         const TunerTools& tools, TuneCounts& counts)
    : tools_(tools),
      counts_(counts),
      problem_(make_kernel_problem(graph, group)),
      traffic_{.flops = group.flops, .bytes = group.bytes},
      log_(*tools.store, tools.device_name, problem_.name) {
  enumerate(space);
}

// Candidates are those of the group alone: its strides are those the verifier and the measurer run.
void KernelTuner::enumerate(const SearchSpace& space) {
  std::map<std::string, int> reasons;
  for (KernelCandidate& candidate : enumerate_candidates(problem_.group().spec, space, tools_.spec)) {
    ++counts_.candidates;
    double predicted = 0;
    if (candidate.infeasible.empty()) {
      const CostBreakdown cost = predict(candidate, traffic_, tools_.spec);
      if (cost.blocks_per_sm == 0) candidate.infeasible = "no block of it fits an SM";
      predicted = cost.total_us;
    }
    if (!candidate.infeasible.empty()) {
      ++counts_.infeasible;
      ++reasons[candidate.infeasible];
      continue;
    }
    points_.push_back({.parameters = tile_parameters(candidate.tile), .predicted_us = predicted});
    feasible_.push_back(std::move(candidate));
  }
  log_.set_infeasible(space.name, reasons);
  if (feasible_.empty())
    fail(ErrorKind::no_result, "kernel '{}' has no feasible candidate in this space on {}: {}; widen the space",
         problem_.name, tools_.spec.name, reasons.empty() ? "the space is empty" : count_text(reasons));
  tried_.assign(feasible_.size(), false);
  order_.resize(feasible_.size());
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  std::stable_sort(order_.begin(), order_.end(),
                   [&](std::size_t a, std::size_t b) { return points_[a].predicted_us < points_[b].predicted_us; });
  rank_.resize(order_.size());
  for (std::size_t rank = 0; rank < order_.size(); ++rank) rank_[order_[rank]] = rank;
  find_reference();
}

void KernelTuner::find_reference() {
  if (tools_.reference == nullptr) return;
  for (const ReferenceChoice& choice : *tools_.reference) {
    if (choice.problem != problem_.name) continue;
    const auto is_chosen = [&](const KernelCandidate& candidate) { return config_text(candidate.tile) == choice.tile; };
    const auto found = std::find_if(feasible_.begin(), feasible_.end(), is_chosen);
    if (found != feasible_.end()) reference_.push_back(static_cast<std::size_t>(found - feasible_.begin()));
  }
}

PlantedFault KernelTuner::fault_of(std::size_t index) const {
  if (!tools_.drill_seed) return PlantedFault::none;
  return planned_fault(*tools_.drill_seed, problem_.name, rank_[index], feasible_.size());
}

KernelSource KernelTuner::source_of(std::size_t index) const {
  return plant_fault(emit(feasible_[index]), fault_of(index));
}

Provenance KernelTuner::provenance() const {
  if (tools_.measurer != nullptr) return Provenance::measured;
  return tools_.device != nullptr ? Provenance::emulated : Provenance::predicted;
}

std::string KernelTuner::source_identity(const KernelSource& source) const {
  return duet::source_identity(source, tools_.compiler);
}

KernelVerifier& KernelTuner::verifier() {
  if (!verifier_) verifier_ = std::make_unique<KernelVerifier>(problem_, tools_.seed);
  return *verifier_;
}

void KernelTuner::prepare() {
  if (tools_.pool != nullptr) tools_.pool->submit(source_of(order_.front()), tools_.spec.arch);
}

// For an absent device the model decides, so that only those it ranks first are worth compiling. A device that executes
// without measuring (the emulator) verifies every candidate, unless told to be content with some.
SearchLimits KernelTuner::adjusted(SearchLimits limits) const {
  if (tools_.device == nullptr && limits.max_candidates == 0 && !limits.first_valid)
    limits.max_candidates = kPredictedCandidates;
  const bool by_model =
      tools_.device == nullptr || limits.first_valid || (limits.max_candidates > 0 && limits.strategy == "exhaustive");
  if (by_model) limits.strategy = "model_order";
  return limits;
}

// Where the device compiles for itself, it is told at once what is going to be tried.
void KernelTuner::prepare_device(int count) {
  if (tools_.pool != nullptr || tools_.device == nullptr) return;
  std::vector<std::string> sources;
  for (std::size_t index : order_) {
    if (static_cast<int>(sources.size()) == count) break;
    if (!tried_[index]) sources.push_back(source_of(index).text);
  }
  const auto start = Clock::now();
  tools_.device->prepare(sources);
  counts_.compile_s += seconds_since(start);
  counts_.compiled += static_cast<int>(sources.size());
}

bool KernelTuner::may_go_on(const SearchLimits& limits) const {
  if (stopped(limits)) return false;
  return !limits.deadline || Clock::now() < *limits.deadline || (limits.one_at_least && !winner_);
}

const std::optional<KernelWinner>& KernelTuner::tune(const SearchLimits& asked, const OnCandidate& on_candidate) {
  Search search;
  search.limits = adjusted(asked);
  if (adopt_settled(search.limits)) return winner_;
  const int limit = search.limits.max_candidates;
  search.strategy = make_search(search.limits);
  const bool by_gain = limit == 0 && tools_.measurer != nullptr && !search.limits.first_valid;
  if (by_gain && search.limits.min_gain > 0) {
    search.rule = GainRule(search.limits.min_gain);
    search.around.emplace(points_);
  }
  search.total = limit > 0 ? std::min(limit, candidate_count()) : candidate_count();
  prepare_device(search.limits.first_valid ? 1 : search.total);
  if (search.around) learn_known(search);
  carry_out(std::move(search), on_candidate);
  return winner_;
}

double KernelTuner::expected_gain() const { return unfinished_ ? std::min(1.0, unfinished_->rule.expected_gain()) : 0; }

// What was still to be compiled may have been dropped since.
void KernelTuner::go_on(Clock::time_point deadline, const OnCandidate& on_candidate) {
  Search search = std::move(*unfinished_);
  search.limits.deadline = deadline;
  search.end.reset();
  for (Pending& pending : search.pending) {
    const bool reported = pending.reported;
    pending = submit(pending.index, std::move(pending.source));
    pending.reported = reported;
  }
  finalists_.reopen();
  carry_out(std::move(search), on_candidate);
}

void KernelTuner::carry_out(Search search, const OnCandidate& on_candidate) {
  run(search, on_candidate);
  race_finalists(search);
  note_warm_start(*search.strategy);
  log_.flush();
  unfinished_.reset();
  if (search.end == SearchEnd::budget) unfinished_ = std::move(search);
}

// Only where time is measured: elsewhere the model decides, and would not be helped.
std::unique_ptr<WarmStrategy> KernelTuner::make_search(const SearchLimits& limits) {
  std::vector<std::size_t> first;
  if (tools_.known != nullptr && tools_.measurer != nullptr && !limits.first_valid) {
    if (known_.empty()) known_ = tools_.known->of(problem_.name, tools_.device_name);
    const int most = limits.max_candidates > 0 ? std::min(kWarmCandidates, limits.max_candidates / 2) : kWarmCandidates;
    std::vector<std::string> configs;
    std::vector<double> predicted_us;
    for (std::size_t index = 0; index < feasible_.size() && !known_.empty(); ++index) {
      configs.push_back(config_text(feasible_[index].tile));
      predicted_us.push_back(points_[index].predicted_us);
    }
    first = warm_order(known_, configs, predicted_us, static_cast<std::size_t>(most));
  }
  if (tools_.measurer != nullptr && !limits.first_valid) {
    std::erase_if(first, [&](std::size_t index) { return is_reference(index); });
    first.insert(first.begin(), reference_.begin(), reference_.end());
  }
  return std::make_unique<WarmStrategy>(std::move(first), make_strategy(limits.strategy, points_, tools_.seed));
}

bool KernelTuner::is_reference(std::size_t index) const {
  return std::find(reference_.begin(), reference_.end(), index) != reference_.end();
}

void KernelTuner::note_warm_start(const WarmStrategy& search) {
  if (known_.empty()) return;
  if (!search.best_first_us() || best_measured_us() <= 0) return;
  if (!warm_) {
    warm_ = counts_.warm.size();
    counts_.warm.emplace_back();
  }
  counts_.warm[*warm_] = {.problem = problem_.name,
                          .from_device = known_.front().device,
                          .from_problem = known_.front().problem,
                          .candidates = search.first_count(),
                          .best_first_us = *search.best_first_us(),
                          .best_us = best_measured_us()};
}

void KernelTuner::run(Search& search, const OnCandidate& on_candidate) {
  while (may_go_on(search.limits)) {
    propose(search, on_candidate);
    if (search.pending.empty()) break;
    Pending& first = search.pending.front();
    if (!wait(first, search.limits)) break;
    const SearchResult result = finish(first, search.limits);
    if (!first.reported) {
      report(search, first.index, result);
      on_candidate(++search.done, search.total);
    }
    search.pending.pop_front();
    if (search.limits.first_valid && winner_) break;
  }
  for (const Pending& unfinished : search.pending) tried_[unfinished.index] = false;
  if (search.end) return;
  if (!may_go_on(search.limits)) {
    if (!stopped(search.limits)) search.end = SearchEnd::budget;
    return;
  }
  if (search.done >= search.total) search.end = search.total < candidate_count() ? SearchEnd::limit : SearchEnd::all;
}

// Fills the queue of those that must be run; those known from earlier runs are reported at once.
void KernelTuner::propose(Search& search, const OnCandidate& on_candidate) {
  // Enough work ahead to keep the compiler threads busy while the device is; one at a time when the first valid ends
  // it.
  const std::size_t ahead =
      tools_.pool == nullptr || search.limits.first_valid ? 1 : static_cast<std::size_t>(2 * tools_.pool->threads());
  // Beyond the limit, one by one, only while nothing valid was found.
  while (
      !search.end && search.pending.size() < ahead &&
      (search.done + static_cast<int>(search.pending.size()) < search.total || (!winner_ && search.pending.empty()))) {
    const std::optional<std::size_t> index = next_index(search);
    if (!index) {
      // Around the best there may be more once the last results are in.
      if (!search.ending || search.pending.empty()) search.end = search.ending ? SearchEnd::gain : SearchEnd::all;
      break;
    }
    if (tried_[*index]) continue;
    KernelSource source = source_of(*index);
    if (const std::optional<SearchResult> result = known_result(*index, source)) {
      report(search, *index, *result);
      on_candidate(++search.done, search.total);
    } else {
      search.pending.push_back(submit(*index, std::move(source)));
    }
  }
}

std::optional<std::size_t> KernelTuner::next_index(Search& search) {
  search.ending = search.ending || search.rule.ends();
  return search.ending ? search.around->propose() : search.strategy->propose();
}

void KernelTuner::report(Search& search, std::size_t index, const SearchResult& result) {
  search.strategy->report(index, result);
  search.rule.report(result);
  if (search.around) search.around->report(index, result);
}

KernelTuner::Pending KernelTuner::submit(std::size_t index, KernelSource source) {
  tried_[index] = true;
  std::optional<CompileFuture> future;
  if (tools_.pool != nullptr) future = tools_.pool->submit(source, tools_.spec.arch);
  return {.index = index, .source = std::move(source), .future = std::move(future)};
}

// Given when an earlier run settled the candidate: it failed by its own fault, or it was timed and is clearly slower
// than the best. Another goes through the compiler again for its image, which the compile cache keeps.
std::optional<SearchResult> KernelTuner::known_result(std::size_t index, const KernelSource& source) {
  const CandidateRecord* record = log_.find(config_text(feasible_[index].tile), source_identity(source));
  if (record == nullptr) return std::nullopt;
  if (record->status != kStatusOk) {
    if (!is_settled_failure(*record)) return std::nullopt;
    ++counts_.cached;
    ++reasons_[record->status];
    last_detail_ = record->detail;
    tried_[index] = true;
    return SearchResult{};
  }
  const bool timed = tools_.measurer != nullptr && is_settled(record);
  if (!timed || !winner_ || record->median_us < kFinalistFactor * winner_->time_us) return std::nullopt;
  ++counts_.cached;
  tried_[index] = true;
  return SearchResult{.valid = true, .time_us = record->median_us};
}

// False when stopped before the compiler was done.
bool KernelTuner::wait(const Pending& pending, const SearchLimits& limits) {
  if (!pending.future) return true;
  const auto start = Clock::now();
  while (pending.future->wait_for(kPoll) != std::future_status::ready)
    if (!may_go_on(limits)) return false;
  counts_.compile_s += seconds_since(start);
  return true;
}

std::string KernelTuner::reasons() const {
  const std::string counts = reasons_.empty() ? std::string("none was tried") : count_text(reasons_);
  return last_detail_.empty() ? counts : fmt::format("{}; the last: {}", counts, last_detail_.substr(0, 300));
}

}  // namespace duet
