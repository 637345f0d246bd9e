#include "tuner/race.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>

namespace duet {
namespace {

// Candidates on a clock that drifts and jitters: what each takes, times what the clock does at that moment.
class SimulatedClock {
 public:
  SimulatedClock(std::vector<double> times_us, double noise, double drift_per_sample, std::uint64_t seed)
      : times_us_(std::move(times_us)), noise_(noise), drift_(drift_per_sample), random_(seed) {}

  std::vector<double> operator()(std::size_t candidate, int samples) {
    std::vector<double> taken;
    std::normal_distribution<double> jitter(0, noise_);
    for (int i = 0; i < samples; ++i) {
      slow_ *= 1 + drift_;
      taken.push_back(times_us_[candidate] * slow_ * std::exp(jitter(random_)));
    }
    turns[candidate] += 1;
    return taken;
  }

  std::map<std::size_t, int> turns;

 private:
  std::vector<double> times_us_;
  double noise_, drift_, slow_ = 1;
  std::mt19937_64 random_;
};

RaceResult run(SimulatedClock clock, std::size_t entries, const RaceOptions& options = {}) {
  return race(entries, std::ref(clock), options);
}

TEST(Race, TheFastestOfThoseThatDifferWins) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const RaceResult result = run(SimulatedClock({10.6, 10.0, 10.3}, 0.01, 0, seed), 3, {.seed = seed});
    EXPECT_EQ(result.winner, 1u) << seed;
    EXPECT_EQ(result.end, RaceEnd::one_left);
    EXPECT_NEAR(result.entries[0].slower, 0.06, 0.02);
    EXPECT_FALSE(result.entries[0].tie);
  }
}

TEST(Race, OfTiesTheFirstWinsWhicheverIsFastestToday) {
  std::map<std::size_t, int> fastest;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const RaceResult result = run(SimulatedClock({11, 10.01, 10.0, 10.02}, 0.01, 0, seed), 4, {.seed = seed});
    EXPECT_EQ(result.winner, 1u) << seed;
    EXPECT_TRUE(result.entries[1].tie && result.entries[2].tie && result.entries[3].tie) << seed;
    EXPECT_TRUE(overlap(result.entries[1].interval_us, result.entries[2].interval_us)) << seed;
    ++fastest[result.fastest];
  }
  EXPECT_GT(fastest.size(), 1u) << "else the ties were none";
}

// The clock loses a quarter of its speed during the race: one after the other, the last would seem slowest.
TEST(Race, ADriftingClockChangesNothing) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    SimulatedClock clock({10.3, 10.3, 10.0}, 0.003, 0.001, seed);
    const RaceResult result = race(3, std::ref(clock), {.seed = seed});
    EXPECT_EQ(result.winner, 2u) << seed;
    EXPECT_NEAR(result.entries[0].slower, 0.03, 0.012) << seed;
  }
}

TEST(Race, LosersLeaveEarly) {
  SimulatedClock clock({10.0, 14.0, 10.05, 20.0}, 0.02, 0, 3);
  const RaceResult result = race(4, std::ref(clock), {});
  EXPECT_EQ(clock.turns[1], 6);
  EXPECT_EQ(clock.turns[3], 6);
  EXPECT_GT(clock.turns[0], 6);
  EXPECT_EQ(result.entries[3].rounds, 6);
  EXPECT_EQ(result.entries[0].samples_us.size(), static_cast<std::size_t>(5 * result.rounds));
}

TEST(Race, EndsWhenAllThatAreLeftAreTies) {
  const RaceResult result = run(SimulatedClock({10.0, 10.0}, 0.001, 0, 1), 2);
  EXPECT_EQ(result.end, RaceEnd::ties);
  EXPECT_EQ(result.rounds, 6);
  EXPECT_LT(result.entries[1].slower_range.high, 0.01);
}

TEST(Race, EndsUndecidedAfterItsRounds) {
  const RaceResult result = run(SimulatedClock({10.0, 10.0}, 0.2, 0, 1), 2, {.samples_per_turn = 1, .max_rounds = 9});
  EXPECT_EQ(result.end, RaceEnd::max_rounds);
  EXPECT_EQ(result.rounds, 9);
}

TEST(Race, OneAloneRunsForItsInterval) {
  const RaceResult result = run(SimulatedClock({10.0}, 0.01, 0, 1), 1);
  EXPECT_EQ(result.rounds, 6);
  EXPECT_EQ(result.end, RaceEnd::one_left);
  EXPECT_LT(result.entries[0].interval_us.low, 10.0);
  EXPECT_GT(result.entries[0].interval_us.high, 10.0);
}

TEST(Race, WhoGivesNoSampleIsOut) {
  const auto take = [](std::size_t entry, int samples) {
    return entry == 0 ? std::vector<double>() : std::vector<double>(static_cast<std::size_t>(samples), 10.0);
  };
  const RaceResult result = race(2, take, {});
  EXPECT_EQ(result.winner, 1u);
  EXPECT_TRUE(result.entries[0].failed);
  EXPECT_FALSE(result.entries[0].tie);
}

TEST(Race, StoppedAtOnceTheFirstIsTaken) {
  SimulatedClock clock({10.0, 5.0}, 0.01, 0, 1);
  const RaceResult result = race(2, std::ref(clock), {}, [] { return false; });
  EXPECT_EQ(result.end, RaceEnd::stopped);
  EXPECT_EQ(result.winner, 0u);
  EXPECT_TRUE(clock.turns.empty());
}

// What there is stays unless another is surely a gain, and what is none does not keep running.
TEST(Race, OnlyGainsReplaceWhatThereIs) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const RaceOptions options{.tie = 0.004, .only_gains = true, .seed = seed};
    SimulatedClock same({10.0, 10.0, 10.02}, 0.002, 0, seed);
    const RaceResult kept = race(3, std::ref(same), options);
    EXPECT_EQ(kept.winner, 0u) << seed;
    EXPECT_LT(kept.rounds, 12) << seed;
    SimulatedClock better({10.0, 9.8, 10.02}, 0.002, 0, seed);
    EXPECT_EQ(race(3, std::ref(better), options).winner, 1u) << seed;
  }
}

// Where most are far behind, they are not timed for long; who is near the fastest is.
TEST(Race, TheHopelessLeaveAfterTwoRounds) {
  const RaceOptions options{.hopeless = 0.02};
  SimulatedClock clock({10.0, 10.5, 10.05, 12.0}, 0.002, 0, 1);
  const RaceResult result = race(4, std::ref(clock), options);
  EXPECT_EQ(result.entries[1].rounds, 2);
  EXPECT_EQ(result.entries[3].rounds, 2);
  EXPECT_GE(result.entries[2].rounds, options.min_rounds);
  EXPECT_EQ(result.winner, 0u);
  const RaceResult clear = run(SimulatedClock({10.5, 12.0, 10.0}, 0.002, 0, 1), 3, options);
  EXPECT_EQ(clear.winner, 2u);
  EXPECT_EQ(clear.rounds, 2) << "nobody else is left";
  EXPECT_EQ(clear.end, RaceEnd::one_left);
}

// A tie ends sooner than it is proved, a gain of more than that is found.
TEST(Race, WhoSeemsToGainNothingLeavesAfterFourRounds) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const RaceOptions options{.only_gains = true, .hopeless = 0.02, .seed = seed};
    const RaceResult kept = run(SimulatedClock({10.0, 10.0, 10.02}, 0.003, 0, seed), 3, options);
    EXPECT_EQ(kept.winner, 0u) << seed;
    EXPECT_LE(kept.rounds, 5) << seed;
    EXPECT_EQ(run(SimulatedClock({10.0, 9.8, 10.0}, 0.003, 0, seed), 3, options).winner, 1u) << seed;
  }
}

TEST(Race, EqualSeedsRunInTheSameOrderAndOthersDoNot) {
  const auto orders = [](std::uint64_t seed) {
    std::vector<std::size_t> turns;
    race(3,
         [&](std::size_t entry, int samples) {
           turns.push_back(entry);
           return std::vector<double>(static_cast<std::size_t>(samples), 10.0);
         },
         {.seed = seed});
    return turns;
  };
  EXPECT_EQ(orders(1), orders(1));
  EXPECT_NE(orders(1), orders(100));
}

// A later run decides from what was recorded, without a device.
TEST(Race, ItsSamplesTellItsOutcomeAgain) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const RaceOptions options{.seed = seed};
    const RaceResult result = run(SimulatedClock({10.1, 10.0, 12.0, 10.05}, 0.02, 1e-4, seed), 4, options);
    std::vector<std::vector<double>> samples_us;
    for (const RaceEntry& entry : result.entries) {
      samples_us.push_back(entry.samples_us);
      EXPECT_EQ(interval_of_rounds(entry.samples_us).low, entry.interval_us.low);
      EXPECT_EQ(interval_of_rounds(entry.samples_us).high, entry.interval_us.high);
    }
    const RaceResult again = replay_race(samples_us, options);
    EXPECT_EQ(again.winner, result.winner);
    EXPECT_EQ(again.fastest, result.fastest);
    EXPECT_EQ(again.rounds, result.rounds);
    EXPECT_EQ(again.end, result.end);
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_EQ(again.entries[i].tie, result.entries[i].tie);
      EXPECT_EQ(again.entries[i].median_us, result.entries[i].median_us);
    }
  }
}

}  // namespace
}  // namespace duet
