// The part of KernelTuner that ends a search: the race of its finalists, and what a later run makes of an earlier race.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "tuner/elapsed.h"
#include "tuner/kernel_tuner.h"

namespace duet {
namespace {

RaceOptions race_options(const TunerTools& tools) { return {.tie = tools.tie, .seed = tools.seed}; }

// Which race: who ran in it, by what rules. Short, since a person reads it too.
std::string race_name(const std::vector<CandidateRecord>& racers, const TunerTools& tools) {
  constexpr std::size_t kDigits = 8;
  std::string text = fmt::format("{} {}", tools.tie, tools.seed);
  for (const CandidateRecord& racer : racers) text += '\n' + racer.config + ' ' + racer.source_hash;
  return hash_text(text).substr(0, kDigits);
}

SearchDemand demand_of(const SearchLimits& limits) {
  return {.strategy = limits.strategy,
          .max_candidates = limits.max_candidates,
          .min_gain = limits.min_gain,
          .budget_s = limits.budget_s};
}

double end_value(SearchEnd end, const SearchLimits& limits) {
  switch (end) {
    case SearchEnd::all:
      return 0;
    case SearchEnd::limit:
      return limits.max_candidates;
    case SearchEnd::gain:
      return limits.min_gain;
    case SearchEnd::budget:
      return limits.budget_s;
  }
  return 0;
}

}  // namespace

// ---- what earlier runs left

std::vector<KernelTuner::Known> KernelTuner::known() const {
  std::map<std::string, std::size_t> index_of;
  const std::vector<const CandidateRecord*> records = log_.all();
  if (records.empty()) return {};
  for (std::size_t i = 0; i < feasible_.size(); ++i) index_of.emplace(config_text(feasible_[i].tile), i);
  std::vector<Known> known;
  for (const CandidateRecord* record : records) {
    const auto found = index_of.find(record->config);
    if (found == index_of.end() || record->source_hash != source_identity(source_of(found->second))) continue;
    const bool counts = record->status == kStatusOk ? is_settled(record) : true;
    if (counts) known.push_back({.index = found->second, .record = record});
  }
  return known;
}

// The racers of the last race, where an earlier search went as far as is asked now and nothing was tried since.
std::vector<KernelTuner::Known> KernelTuner::racers_of_settled(const SearchLimits& limits,
                                                               const std::vector<Known>& known) const {
  std::optional<SearchMark> last;
  for (const auto& [index, record] : known) {
    if (record->status != kStatusOk && !is_settled_failure(*record)) return {};
    const std::optional<SearchMark> mark = parse_mark(record->detail);
    if (mark && mark->won && (!last || mark->tried > last->tried)) last = mark;
  }
  const bool enough = last && last->space == candidate_count() && static_cast<int>(known.size()) <= last->tried &&
                      satisfies(*last, demand_of(limits));
  if (!enough) return {};
  std::vector<Known> racers;
  for (const Known& one : known)
    if (const auto mark = parse_mark(one.record->detail); mark && mark->race == last->race) racers.push_back(one);
  return racers;
}

std::vector<KernelTuner::Pending> KernelTuner::submit_known(const std::vector<Known>& known) {
  std::vector<Pending> pending;
  for (const Known& one : known) pending.push_back(submit(one.index, source_of(one.index)));
  return pending;
}

// Of what did not race, the finalists of the earlier run: a plan may do better with them. How many there were.
std::size_t KernelTuner::load_other_finalists(const SearchLimits& limits, const std::vector<Known>& known,
                                              const std::vector<Known>& racers) {
  Finalists before;
  for (const auto& [index, record] : known)
    if (record->status == kStatusOk) before.keep(finalist_of(index, record->median_us));
  std::vector<Known> others;
  for (const KernelWinner& finalist : before.kept()) {
    const auto is_it = [&](const Known& one) { return one.index == finalist.candidate; };
    if (std::none_of(racers.begin(), racers.end(), is_it))
      others.push_back(*std::find_if(known.begin(), known.end(), is_it));
  }
  for (const Pending& other : submit_known(others))
    if (wait(other, limits)) finish(other, limits);
  return others.size();
}

// True when there was nothing to do but to load what an earlier run had chosen.
bool KernelTuner::adopt_settled(const SearchLimits& limits) {
  if (tools_.measurer == nullptr || limits.first_valid || winner_) return false;
  const std::vector<Known> before = known();
  const std::vector<Known> racers = racers_of_settled(limits, before);
  if (racers.empty()) return false;
  std::vector<Pending> loading = submit_known(racers);
  for (const Pending& racer : loading) {
    if (wait(racer, limits) && finish(racer, limits).valid) continue;
    for (const Pending& left : loading) tried_[left.index] = timed_.contains(left.index);
    return false;
  }
  std::vector<KernelWinner> runners = finalists_.kept();
  std::stable_sort(runners.begin(), runners.end(), preferred);
  const std::size_t others = load_other_finalists(limits, before, racers);
  std::vector<std::vector<double>> samples_us;
  for (const KernelWinner& runner : runners) samples_us.push_back(timed_.at(runner.candidate).samples_us);
  if (runners.size() > 1) {
    RaceResult result = replay_race(samples_us, race_options(tools_));
    prefer_reference(runners, result);
    settle(std::move(runners), result);
  }
  counts_.cached += static_cast<int>(before.size() - racers.size() - others);
  for (const Known& one : before) tried_[one.index] = true;
  settled_ = true;
  return true;
}

// The search goes on where earlier ones ended: what they found is its history, in the order in which they found it.
void KernelTuner::learn_known(Search& search) {
  const std::vector<Known> before = known();
  double best_us = 0;
  for (const auto& [index, record] : before)
    if (record->median_us > 0 && (best_us == 0 || record->median_us < best_us)) best_us = record->median_us;
  for (const auto& [index, record] : before) {
    if (tried_[index]) continue;
    const bool valid = record->status == kStatusOk;
    const bool again = valid ? tools_.measurer != nullptr && record->median_us < kFinalistFactor * best_us
                             : !is_settled_failure(*record);
    const SearchResult result{.valid = valid, .time_us = record->median_us};
    if (valid || !again) {
      report(search, index, result);
      ++search.done;
    }
    tried_[index] = true;
    if (again) {
      search.pending.push_back(submit(index, source_of(index)));
      search.pending.back().reported = valid;
      continue;
    }
    ++counts_.cached;
    if (!valid) ++reasons_[record->status];
  }
}

// ---- the race

// Nothing where the run is being stopped: what was timed is recorded, and a later run races.
void KernelTuner::race_finalists(const Search& search) {
  if (tools_.measurer == nullptr || search.limits.first_valid || finalists_.kept().empty() || !search.end) return;
  std::vector<KernelWinner> racers = finalists_.contenders();
  std::optional<RaceResult> result;
  if (racers.size() > 1) {
    result = race(racers, search.limits);
    if (!result || result->end == RaceEnd::stopped) return;
    prefer_reference(racers, *result);
  }
  const auto tried = std::count(tried_.begin(), tried_.end(), true);
  record_race(racers, result,
              {.strategy = search.limits.strategy,
               .tried = static_cast<int>(tried),
               .space = candidate_count(),
               .end = *search.end,
               .end_value = end_value(*search.end, search.limits)});
  if (result) settle(std::move(racers), *result);
}

// None when the device failed over it.
std::optional<RaceResult> KernelTuner::race(const std::vector<KernelWinner>& racers, const SearchLimits& limits) {
  const auto start = std::chrono::steady_clock::now();
  std::optional<RaceResult> result;
  try {
    std::vector<std::unique_ptr<TimedKernel>> ready;
    for (const KernelWinner& racer : racers) {
      const Plan plan = make_kernel_plan(problem_, tools_.spec, racer.kernel);
      ready.push_back(tools_.measurer->prepare({.plan = plan,
                                                .inputs = verifier().inputs(),
                                                .weights = verifier().weights(),
                                                .expected_us = finalists_.kept().front().time_us}));
    }
    const RaceOptions options = race_options(tools_);
    const TakeRound take_round = [&](const std::vector<std::size_t>& order) {
      return tools_.measurer->watch().steady([&] {
        std::vector<std::vector<double>> samples_us(racers.size());
        for (const std::size_t i : order) samples_us[i] = ready[i]->take(options.samples_per_turn);
        return samples_us;
      });
    };
    result = race_by_rounds(racers.size(), take_round, options,
                            [&] { return limits.stop == nullptr || !limits.stop->load(); });
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::device) throw;
    tools_.measurer->forget();
    warn("the finalists of '{}' are taken as they were timed alone, their race was given up: {}", problem_.name,
         error.what());
  }
  counts_.measure_s += seconds_since(start);
  return result;
}

// Each racer's record gets the race's samples, and the mark by which a later run knows.
void KernelTuner::record_race(const std::vector<KernelWinner>& racers, const std::optional<RaceResult>& result,
                              SearchMark mark) {
  const std::string environment = tools_.measurer->environment() + ", raced";
  std::vector<CandidateRecord> records;
  for (std::size_t i = 0; i < racers.size(); ++i) {
    CandidateRecord& record = records.emplace_back(timed_.at(racers[i].candidate));
    if (!result) continue;
    record.samples_us = result->entries[i].samples_us;
    record.median_us = result->entries[i].median_us;
    record.environment = environment;
  }
  mark.race = race_name(records, tools_);
  for (std::size_t i = 0; i < records.size(); ++i) {
    mark.won = !result || i == result->winner;
    records[i].detail = mark_text(mark);
    timed_[racers[i].candidate] = records[i];
    log_.add(records[i]);
  }
  log_.flush();
  if (result)
    log_at(2, "{}: {} of {} finalists are ties after {} rounds ({}), {} is taken", problem_.name,
           std::count_if(result->entries.begin(), result->entries.end(), [](const RaceEntry& e) { return e.tie; }),
           racers.size(), result->rounds, race_end_name(result->end), config_text(racers[result->winner].kernel.tile));
}

void KernelTuner::settle(std::vector<KernelWinner> racers, const RaceResult& result) {
  finalists_.settle(std::move(racers), result);
  winner_ = finalists_.kept().front();
}

}  // namespace duet
