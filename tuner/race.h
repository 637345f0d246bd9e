// Which of a few candidates is the fastest, in a way that the next run repeats. They are timed in turns, so that a
// clock that drifts slows all of them alike; they are compared round by round; the clearly slower leave early; and of
// those that differ by less than is worth measuring the most preferred wins, whatever the noise of the day says.
//
//   const RaceResult result = race(3, [&](std::size_t i, int samples) { return chains[i]->time_us(samples); }, {});
//   use(candidates[result.winner]);
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "tuner/stats.h"

namespace duet {

struct RaceOptions {
  double tie = 0.01;  // a difference in time, as a share, that is not worth a choice of its own
  int samples_per_turn = 5;
  int min_rounds = 6;  // the fewest of which an interval of 95% can be made
  int max_rounds = 24;
  // Entry 0 is what there is: another one leaves as soon as it is surely no gain over it, even where it is no slower.
  bool only_gains = false;
  // Where many run, who has little hope leaves before there is an interval: after two rounds whoever is slower than the
  // fastest by more than this, with only_gains after four who does not gain half a tie. One alone has won. 0: nobody.
  double hopeless = 0;
  std::uint64_t seed = 1;  // of the order in each round
};

enum class RaceEnd { one_left, ties, max_rounds, stopped };
std::string_view race_end_name(RaceEnd end);

struct RaceEntry {
  std::vector<double> samples_us{};  // in the order taken: `samples_per_turn` for each round it was in
  int rounds = 0;
  bool failed = false;      // its turn gave no sample
  double median_us = 0;     // of the samples
  Interval interval_us{};   // 95%, of the median: of the rounds' medians, so that drift widens it
  double slower = 0;        // than the fastest, the median over the rounds both were in: 0.02 is 2%
  Interval slower_range{};  // 95%
  bool tie = false;         // with the fastest, which is one itself
};

struct RaceResult {
  std::vector<RaceEntry> entries{};
  std::size_t winner = 0;   // the first of the ties, as the entries are ordered
  std::size_t fastest = 0;  // by the rounds' medians
  RaceEnd end = RaceEnd::stopped;
  int rounds = 0;
};

// The statistics and the decision, apart from the sampling: what the samples of earlier rounds say. Pure.
class RaceBook {
 public:
  // Entries are ordered by preference: of ties the first wins.
  RaceBook(std::size_t entries, const RaceOptions& options);

  // Whom this round is to time, in this order.
  std::vector<std::size_t> round_order() const;
  // One turn for each of round_order(), by entry; those of others are ignored. An entry without samples has failed and
  // leaves.
  void add_round(const std::vector<std::vector<double>>& samples_us);
  // None while there is something left to find out.
  std::optional<RaceEnd> end() const;
  RaceResult result(RaceEnd end) const;

 private:
  struct Runner {
    std::vector<double> samples_us{}, round_us{};
    bool in = true, failed = false;
  };

  // How much slower an entry is than another, by the rounds both were in: the median of the logarithms' differences.
  struct Difference {
    double median = 0;
    Interval range{};
  };
  Difference difference(std::size_t entry, std::size_t other) const;
  std::size_t fastest() const;
  std::size_t running() const;
  bool hopeless_leave() const;
  template <typename Leaves>
  void drop(std::size_t other, Leaves leaves);
  void drop_hopeless();
  void drop_losers();
  bool all_settled() const;

  RaceOptions options_;
  std::vector<Runner> runners_;
  int rounds_ = 0;
};

// `take_round(order)` gives one turn's samples for each entry in `order`, by entry (the others' stay empty), as far as
// it got: fewer than asked for end the race with the rounds before. `go_on` is asked before each round.
using TakeRound = std::function<std::vector<std::vector<double>>(const std::vector<std::size_t>& order)>;
RaceResult race_by_rounds(std::size_t entries, const TakeRound& take_round, const RaceOptions& options,
                          const std::function<bool()>& go_on);

// The 95% interval of the median of the rounds' medians, of samples as an entry keeps them.
Interval interval_of_rounds(std::span<const double> samples_us, int samples_per_turn = RaceOptions{}.samples_per_turn);

// The outcome of a race from the samples it left: what a later run makes of them without a device.
RaceResult replay_race(const std::vector<std::vector<double>>& samples_us, const RaceOptions& options);

// `take(entry, samples)`: that many samples in microseconds; none when it failed.
template <typename Take>
RaceResult race(
    std::size_t entries, Take take, const RaceOptions& options,
    const std::function<bool()>& go_on = [] { return true; }) {
  const TakeRound take_round = [&](const std::vector<std::size_t>& order) {
    std::vector<std::vector<double>> samples_us(entries);
    for (const std::size_t entry : order) samples_us[entry] = take(entry, options.samples_per_turn);
    return samples_us;
  };
  return race_by_rounds(entries, take_round, options, go_on);
}

}  // namespace duet
