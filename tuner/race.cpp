#include "tuner/race.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "tuner/search/random_source.h"

namespace duet {
namespace {

constexpr int kRoundsOfHope = 2;  // one round may have been disturbed
constexpr int kRoundsOfGain = 4;

}  // namespace

std::string_view race_end_name(RaceEnd end) {
  switch (end) {
    case RaceEnd::one_left:
      return "one left";
    case RaceEnd::ties:
      return "ties";
    case RaceEnd::max_rounds:
      return "all rounds run";
    case RaceEnd::stopped:
      return "stopped";
  }
  return "stopped";
}

RaceBook::RaceBook(std::size_t entries, const RaceOptions& options) : options_(options), runners_(entries) {
  if (entries == 0) fail(ErrorKind::internal, "a race needs somebody to run");
}

// Another order each round: none is always the one behind a heavy neighbour, or the one that finds the caches warm.
std::vector<std::size_t> RaceBook::round_order() const {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < runners_.size(); ++i)
    if (runners_[i].in) order.push_back(i);
  RandomSource random(options_.seed + static_cast<std::uint64_t>(rounds_));
  random.shuffle(order);
  return order;
}

void RaceBook::add_round(const std::vector<std::vector<double>>& samples_us) {
  for (std::size_t i = 0; i < runners_.size(); ++i) {
    Runner& runner = runners_[i];
    if (!runner.in) continue;
    const double middle = median(samples_us[i]);
    if (!(middle > 0)) {
      runner.in = false;
      runner.failed = true;
      continue;
    }
    runner.samples_us.insert(runner.samples_us.end(), samples_us[i].begin(), samples_us[i].end());
    runner.round_us.push_back(middle);
  }
  ++rounds_;
  if (hopeless_leave()) drop_hopeless();
  if (rounds_ >= options_.min_rounds) drop_losers();
}

bool RaceBook::hopeless_leave() const { return options_.hopeless > 0 && rounds_ >= kRoundsOfHope; }

RaceBook::Difference RaceBook::difference(std::size_t entry, std::size_t other) const {
  const std::vector<double>&a = runners_[entry].round_us, &b = runners_[other].round_us;
  std::vector<double> logs;
  for (std::size_t round = 0; round < std::min(a.size(), b.size()); ++round)
    logs.push_back(std::log(a[round] / b[round]));
  return {.median = median(logs), .range = median_interval(logs)};
}

// Of those still in; those who left were slower.
std::size_t RaceBook::fastest() const {
  std::size_t best = runners_.size();
  for (std::size_t i = 0; i < runners_.size(); ++i) {
    if (!runners_[i].in) continue;
    if (best == runners_.size() || median(runners_[i].round_us) < median(runners_[best].round_us)) best = i;
  }
  return best == runners_.size() ? 0 : best;
}

std::size_t RaceBook::running() const {
  return static_cast<std::size_t>(
      std::count_if(runners_.begin(), runners_.end(), [](const Runner& runner) { return runner.in; }));
}

// Of those still in, whose difference from another `leaves`.
template <typename Leaves>
void RaceBook::drop(std::size_t other, Leaves leaves) {
  for (std::size_t i = 0; i < runners_.size(); ++i)
    if (runners_[i].in && i != other && leaves(difference(i, other))) runners_[i].in = false;
}

void RaceBook::drop_hopeless() {
  drop(fastest(), [&](const Difference& d) { return d.median > std::log1p(options_.hopeless); });
  if (!options_.only_gains || !runners_[0].in || rounds_ < kRoundsOfGain) return;
  drop(0, [&](const Difference& d) { return d.median > -std::log1p(options_.tie / 2); });
}

void RaceBook::drop_losers() {
  const double tie = std::log1p(options_.tie);
  drop(fastest(), [&](const Difference& d) { return d.range.low > tie; });
  if (!options_.only_gains || !runners_[0].in) return;
  drop(0, [&](const Difference& d) { return d.range.low > -tie; });
}

// All that are left are ties, surely.
bool RaceBook::all_settled() const {
  const double tie = std::log1p(options_.tie);
  const std::size_t leader = fastest();
  for (std::size_t i = 0; i < runners_.size(); ++i)
    if (runners_[i].in && i != leader && difference(i, leader).range.high > tie) return false;
  return true;
}

std::optional<RaceEnd> RaceBook::end() const {
  if (rounds_ < options_.min_rounds && running() > (hopeless_leave() ? 1u : 0u)) return std::nullopt;
  if (running() <= 1) return RaceEnd::one_left;
  if (all_settled()) return RaceEnd::ties;
  if (rounds_ >= options_.max_rounds) return RaceEnd::max_rounds;
  return std::nullopt;
}

RaceResult RaceBook::result(RaceEnd end) const {
  RaceResult result{.fastest = fastest(), .end = end, .rounds = rounds_};
  for (std::size_t i = 0; i < runners_.size(); ++i) {
    const Runner& runner = runners_[i];
    const Difference behind = difference(i, result.fastest);
    RaceEntry entry{.samples_us = runner.samples_us,
                    .rounds = static_cast<int>(runner.round_us.size()),
                    .failed = runner.failed,
                    .median_us = median(runner.samples_us),
                    .interval_us = median_interval(runner.round_us),
                    .slower = std::expm1(behind.median),
                    .slower_range = {std::expm1(behind.range.low), std::expm1(behind.range.high)}};
    entry.tie =
        !runner.failed && entry.rounds > 0 && (i == result.fastest || (runner.in && entry.slower <= options_.tie));
    result.entries.push_back(std::move(entry));
  }
  const auto is_tie = [](const RaceEntry& entry) { return entry.tie; };
  const auto first = std::find_if(result.entries.begin(), result.entries.end(), is_tie);
  result.winner =
      first == result.entries.end() ? result.fastest : static_cast<std::size_t>(first - result.entries.begin());
  return result;
}

RaceResult race_by_rounds(std::size_t entries, const TakeRound& take_round, const RaceOptions& options,
                          const std::function<bool()>& go_on) {
  RaceBook book(entries, options);
  while (true) {
    if (const std::optional<RaceEnd> end = book.end()) return book.result(*end);
    if (!go_on()) return book.result(RaceEnd::stopped);
    const std::vector<std::vector<double>> samples_us = take_round(book.round_order());
    if (samples_us.size() != entries) return book.result(RaceEnd::stopped);
    book.add_round(samples_us);
  }
}

Interval interval_of_rounds(std::span<const double> samples_us, int samples_per_turn) {
  std::vector<double> round_us;
  for (const auto turn = static_cast<std::size_t>(samples_per_turn); samples_us.size() >= turn;
       samples_us = samples_us.subspan(turn))
    round_us.push_back(median(samples_us.first(turn)));
  return median_interval(round_us);
}

// A round of which somebody's samples are missing is one that he was not in: he left by the same rules then as now.
RaceResult replay_race(const std::vector<std::vector<double>>& samples_us, const RaceOptions& options) {
  const auto per_turn = static_cast<std::size_t>(options.samples_per_turn);
  std::size_t most = 0;
  for (const std::vector<double>& samples : samples_us) most = std::max(most, samples.size() / per_turn);
  std::size_t round = 0;
  const TakeRound take_round = [&](const std::vector<std::size_t>& order) {
    std::vector<std::vector<double>> turn(samples_us.size());
    for (const std::size_t entry : order) {
      const std::size_t begin = std::min(round * per_turn, samples_us[entry].size());
      const std::size_t end = std::min(begin + per_turn, samples_us[entry].size());
      turn[entry].assign(samples_us[entry].begin() + static_cast<std::ptrdiff_t>(begin),
                         samples_us[entry].begin() + static_cast<std::ptrdiff_t>(end));
    }
    ++round;
    return turn;
  };
  return race_by_rounds(samples_us.size(), take_round, options, [&] { return round < most; });
}

}  // namespace duet
