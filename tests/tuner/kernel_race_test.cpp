// Tuning on a device whose kernels take simulated times: noisy, drifting, throttled.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "runtime/sqlite.h"
#include "tests/support/temp_dir.h"
#include "tests/tuner/adding_device.h"
#include "tests/tuner/fakes.h"
#include "tests/tuner/small_graphs.h"
#include "tuner/candidate_log.h"
#include "tuner/search_mark.h"
#include "tuner/tuning_session.h"

namespace duet {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kProblem = "pointwise f16 rows=4 columns=40 add_matrix";

// 64 candidates of one problem.
SearchSpace wide_space() {
  SearchSpace space = small_space();
  space.name = "wide";
  space.ranges["pointwise"]["threads"].clear();
  for (int threads = 32; threads <= 1024; threads += 32) space.ranges["pointwise"]["threads"].push_back(threads);
  return space;
}

// 256 candidates of it.
SearchSpace huge_space() {
  SearchSpace space = wide_space();
  space.name = "huge";
  space.ranges["pointwise"]["vectors_per_thread"] = {1, 2, 3, 4, 5, 6, 7, 8};
  return space;
}

// Each kernel takes the time that `kernel_us` gives it, by its entry, on a clock that jitters and drifts.
class TimedDevice : public AddingDevice {
 public:
  explicit TimedDevice(std::uint64_t seed = 1) : AddingDevice(huge_space()), random_(seed) {
    mutable_info().can_measure = true;
    mutable_info().fingerprint.l2_bytes = 4 << 20;
    replay_us = [this](const std::vector<Launch>& chain) {
      ++replays;
      slow_ *= 1 + drift;
      double sum_us = 0;
      for (const Launch& launch : chain) sum_us += kernel_us(entry_of(launch), chain.size());
      return sum_us * slow_ * std::exp(std::normal_distribution<double>(0, noise)(random_));
    };
  }
  std::optional<DeviceState> state() const override { return state_now ? std::optional(state_now()) : std::nullopt; }

  std::unique_ptr<Executable> capture(std::span<const Launch> chain) override {
    if (chain.size() > 1) ++chains[entry_of(chain.front())];
    return AddingDevice::capture(chain);
  }

  // `length`: launches of the replay; 1 is the whole plan.
  std::function<double(const std::string& entry, std::size_t length)> kernel_us = [](const auto&, auto) { return 5.0; };
  std::function<DeviceState()> state_now;
  std::map<std::string, int> chains;  // captured, by the kernel's entry
  double noise = 0.003, drift = 0;
  int replays = 0;

 private:
  std::mt19937_64 random_;
  double slow_ = 1;
};

class RacedSession : public testing::Test {
 protected:
  TuneRequest request(const SearchSpace& space = wide_space()) const {
    TuneRequest request;
    request.graph = add_graph();
    request.target = "test-orin";
    request.device = test_device();
    request.space = space;
    request.jobs = 1;
    return request;
  }
  TuneReport tune(TimedDevice& device, const std::string& database, const TuneRequest& request) {
    PlanStore store = PlanStore::open(folder_ / database, PlanStore::Mode::tune);
    return TuningSession(&device, &compiler_, store).tune(request);
  }
  std::vector<CandidateRecord> records(const TuneReport& report, const std::string& database) const {
    return PlanStore::open(folder_ / database, PlanStore::Mode::tune)
        .candidates(device_text(report.plan.key.device), kProblem);
  }
  static int raced(const std::vector<CandidateRecord>& records) {
    return static_cast<int>(std::count_if(records.begin(), records.end(),
                                          [](const CandidateRecord& r) { return parse_mark(r.detail).has_value(); }));
  }

  TempDir folder_;
  FakeCompiler compiler_;
};

// Ten that are as good as equal among slower ones.
double plateau_us(const std::string& entry) {
  const std::size_t hash = std::stoul(hash_text(entry).substr(0, 6), nullptr, 16);
  return hash % 6 == 0 ? 5.0 + 0.01 * static_cast<double>(hash / 6 % 2) : 6.0 + static_cast<double>(hash % 100) / 50;
}

TEST_F(RacedSession, FreshRunsOnADriftingClockChooseTheSame) {
  std::set<std::string> chosen;
  for (std::uint64_t run = 0; run < 5; ++run) {
    TimedDevice device(run);
    device.kernel_us = [](const std::string& entry, std::size_t) { return plateau_us(entry); };
    device.drift = run % 2 == 0 ? 1e-5 : -1e-5;
    const std::string database = "fresh" + std::to_string(run) + ".db";
    const TuneReport report = tune(device, database, request());
    chosen.insert(report.plan.kernels.at(0).config_text);
    EXPECT_LT(plateau_us(report.plan.kernels.at(0).entry), 5.1);
    EXPECT_GT(raced(records(report, database)), 2) << "else nothing was to be decided";
  }
  EXPECT_EQ(chosen.size(), 1u) << testing::PrintToString(chosen);
}

// "pointwise_f16_add_matrix_t288_v3" and its neighbours by one warp differ by 0.4%: five lie within the tie of 1%.
double smooth_us(const std::string& entry) {
  const std::size_t at = entry.rfind("_t");
  int threads = 0, vectors = 0;
  EXPECT_EQ(std::sscanf(entry.c_str() + at, "_t%d_v%d", &threads, &vectors), 2) << entry;
  return 5.0 * (1 + 0.004 * std::abs(threads / 32 - 9) + 0.03 * std::abs(vectors - 3));
}

// Alone: a plan of one kernel shows what is a tie of kernels.
TEST_F(RacedSession, FreshRunsThatEndEarlyChooseTheSame) {
  std::map<std::string, int> chosen;
  for (std::uint64_t run = 0; run < 10; ++run) {
    TimedDevice device(run);
    device.kernel_us = [](const std::string& entry, std::size_t) { return smooth_us(entry); };
    device.drift = 1e-6;
    TuneRequest learning = request(huge_space());
    learning.strategy = "portfolio";
    learning.min_gain = 0.1;
    learning.tie = 0.01;  // two steps of the valley to each side: a wider one holds more than there are finalists
    const TuneReport report = tune(device, "early" + std::to_string(run) + ".db", learning);
    EXPECT_LT(report.verified, 200) << "of 256";
    ++chosen[report.plan.choices.at(0).alone_config];
  }
  const auto most =
      std::max_element(chosen.begin(), chosen.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  EXPECT_GE(most->second, 9) << testing::PrintToString(chosen);
  EXPECT_THAT(most->first, HasSubstr("224")) << "the smallest of the ties";
}

TEST_F(RacedSession, WhatWasChosenBeforeIsTakenWhereItIsNear) {
  const std::string reference = "threads=1024 vectors_per_thread=1";
  TuneRequest asked = request();
  asked.reference = {{.problem = kProblem, .tile = reference},
                     {.problem = "of another graph", .tile = "threads=32 vectors_per_thread=1"}};
  // Ten fast ones and the reference at `slower` times their time.
  const auto tuned = [&](const std::string& database, double slower) {
    TimedDevice device;
    device.kernel_us = [&](const std::string& entry, std::size_t) {
      return entry.find("_t1024_v1") != std::string::npos ? 5.0 * slower : plateau_us(entry);
    };
    const TuneReport first = tune(device, database, asked);
    const TuneReport again = tune(device, database, asked);
    EXPECT_TRUE(again.reused);
    EXPECT_EQ(again.plan.kernels.at(0).config_text, first.plan.kernels.at(0).config_text);
    return first.plan;
  };
  EXPECT_EQ(tuned("as-fast.db", 1.0).kernels.at(0).config_text, reference);
  EXPECT_EQ(tuned("near.db", 1.05).choices.at(0).alone_config, reference);
  EXPECT_NE(tuned("far.db", 1.15).choices.at(0).alone_config, reference);
}

TEST_F(RacedSession, ASecondRunRunsNothing) {
  TimedDevice device;
  device.kernel_us = [](const std::string& entry, std::size_t) { return plateau_us(entry); };
  const TuneReport first = tune(device, "again.db", request());
  EXPECT_FALSE(first.reused);
  const std::vector<CandidateRecord> before = records(first, "again.db");
  device.replays = device.launches = 0;
  const int compiled = compiler_.calls;
  const TuneReport second = tune(device, "again.db", request());
  EXPECT_TRUE(second.reused);
  EXPECT_EQ(device.replays, 0);
  EXPECT_EQ(device.launches, 0);
  EXPECT_LE(compiler_.calls - compiled, raced(before) + 1) << "the racers' images, and the model's first in advance";
  EXPECT_EQ(second.cached, static_cast<int>(before.size()));
  EXPECT_EQ(second.plan, first.plan);
  EXPECT_EQ(records(second, "again.db").size(), before.size());
  EXPECT_EQ(second.plan.figures.latency_us_samples, first.plan.figures.latency_us_samples);
}

TEST_F(RacedSession, WhatIsAskedAnewIsTriedAndTheRestIsNot) {
  TimedDevice device;
  device.kernel_us = [](const std::string& entry, std::size_t) { return plateau_us(entry); };
  TuneRequest narrow = request(small_space());
  const TuneReport first = tune(device, "grown.db", narrow);
  const TuneReport wide = tune(device, "grown.db", request());
  EXPECT_FALSE(wide.reused);
  EXPECT_EQ(wide.verified, wide.candidates - wide.infeasible - first.verified);
  EXPECT_TRUE(tune(device, "grown.db", request()).reused);
}

// The store keeps what the search found; the plan was removed, and is measured again without any search.
TEST_F(RacedSession, ARemovedPlanIsMadeAgainFromWhatIsKnown) {
  TimedDevice device;
  device.kernel_us = [](const std::string& entry, std::size_t) { return plateau_us(entry); };
  const TuneReport first = tune(device, "removed.db", request());
  {
    PlanStore store = PlanStore::open(folder_ / "removed.db", PlanStore::Mode::tune);
    for (const PlanSummary& plan : store.list()) store.remove(plan.id);
  }
  const TuneReport second = tune(device, "removed.db", request());
  EXPECT_FALSE(second.reused);
  EXPECT_EQ(second.verified, 0);
  EXPECT_EQ(second.plan.kernels.at(0).config_text, first.plan.kernels.at(0).config_text);
}

TEST_F(RacedSession, ASearchEndsWhenLittleIsToBeGained) {
  TimedDevice device;
  device.noise = 0;
  device.kernel_us = [](const std::string& entry, std::size_t) { return plateau_us(entry); };
  TuneRequest eager = request(huge_space());
  eager.strategy = "portfolio";
  eager.min_gain = 0.2;
  const TuneReport report = tune(device, "gain.db", eager);
  EXPECT_GE(report.verified, 40);
  EXPECT_LT(report.verified, 200) << "of 256";
  device.replays = 0;
  EXPECT_TRUE(tune(device, "gain.db", eager).reused);
  EXPECT_EQ(device.replays, 0);
  eager.min_gain = 0.0001;
  const TuneReport thorough = tune(device, "gain.db", eager);
  EXPECT_EQ(thorough.verified + report.verified, 256) << "it goes on where the other ended";
}

TEST_F(RacedSession, ThrottledSamplesAreTakenAgainAndTold) {
  TimedDevice device;
  device.kernel_us = [](const std::string& entry, std::size_t) { return plateau_us(entry); };
  int readings = 0;
  device.state_now = [&] {
    DeviceState state{.sm_clock_mhz = 918, .temperature_c = 60, .power_mode = "25W"};
    if (++readings % 3 == 0) state.slowdown = "thermal slowdown";
    return state;
  };
  const TuneReport report = tune(device, "hot.db", request(small_space()));
  bool told = false;
  for (const CandidateRecord& record : records(report, "hot.db")) {
    EXPECT_THAT(record.environment, HasSubstr("SM clock 918 MHz and 60 C"));
    told = told || record.environment.find("under thermal slowdown taken again") != std::string::npos;
  }
  EXPECT_TRUE(told);
  EXPECT_THAT(report.plan.figures.environment, HasSubstr("25W"));
}

// Alone every kernel is as fast; in the whole plan the one that wins ties is slow.
TEST_F(RacedSession, TheWholePlanCorrectsTheChoice) {
  TimedDevice device;
  const TuneReport alone = tune(device, "alone.db", request(small_space()));
  const std::string favourite = alone.plan.kernels.at(0).entry;
  EXPECT_EQ(alone.plan.choices.at(0).config, alone.plan.choices.at(0).alone_config) << "a tie in the plan stays";
  device.kernel_us = [&](const std::string& entry, std::size_t length) {
    return length == 1 && entry == favourite ? 6.0 : 5.0;
  };
  const TuneReport report = tune(device, "context.db", request(small_space()));
  const KernelChoice& choice = report.plan.choices.at(0);
  EXPECT_NE(report.plan.kernels.at(0).entry, favourite);
  EXPECT_EQ(choice.alone_config, alone.plan.choices.at(0).config);
  EXPECT_NE(choice.config, choice.alone_config);
  EXPECT_NEAR(choice.alone_plan_us, 6, 0.1);
  EXPECT_NEAR(choice.chosen_plan_us, 5, 0.1);
  EXPECT_TRUE(tune(device, "context.db", request(small_space())).reused);
}

// Another kernel for the first step is better only once the second has another: one pass over them does not find it.
TEST_F(RacedSession, KernelsAreChosenTogether) {
  TuneRequest two = request(small_space());
  two.graph = two_adds_graph();
  two.mode = ExecutionMode::sequential;
  TimedDevice device;
  const TuneReport alone = tune(device, "alone.db", two);
  ASSERT_EQ(alone.plan.choices.size(), 2u);
  std::map<std::string, std::string> favourites;  // by step
  for (const PlanStep& step : alone.plan.steps) favourites[step.name] = kernel_of(alone.plan, step).entry;
  device.replay_us = [&](const std::vector<Launch>& chain) {
    if (chain.front().name == chain.back().name) return 5.0 * static_cast<double>(chain.size());
    const bool first = device.entry_of(chain.front()) != favourites.at(chain.front().name);
    const bool second = device.entry_of(chain.back()) != favourites.at(chain.back().name);
    if (!second) return first ? 10.5 : 10.0;
    return first ? 7.0 : 9.0;
  };
  const TuneReport report = tune(device, "together.db", two);
  EXPECT_EQ(report.plan.figures.latency_us, 7);
  for (const KernelChoice& choice : report.plan.choices) {
    EXPECT_NE(choice.config, choice.alone_config);
    EXPECT_LT(choice.chosen_plan_us, choice.alone_plan_us) << "both in the last pass";
  }
  EXPECT_TRUE(tune(device, "together.db", two).reused);
}

TEST_F(RacedSession, AFaultInTheRaceLeavesWhatWasTimedAlone) {
  TimedDevice device;
  TuneRequest small = request(small_space());
  const TuneReport calm = tune(device, "calm.db", small);
  bool faulted = false;
  TimedDevice faulty;
  faulty.kernel_us = [&](const std::string& entry, std::size_t) {
    if (faulty.chains[entry] > 1 && !faulted) {  // it was timed alone before
      faulted = true;
      fail(ErrorKind::device, "kernel '{}': illegal address", entry);
    }
    return 5.0;
  };
  const TuneReport report = tune(faulty, "fault.db", small);
  EXPECT_FALSE(report.plan.steps.empty());
  EXPECT_EQ(report.verified, calm.verified);
  EXPECT_TRUE(faulted);
  EXPECT_EQ(raced(records(report, "fault.db")), 0);
  EXPECT_GT(raced(records(tune(faulty, "fault.db", small), "fault.db")), 0) << "a later run races again";
}

// Whether launches start early shows in the whole plan; with little memory the variants race two by two.
TEST_F(RacedSession, TheScheduleIsWhatIsFastestAndATieIsTheFirst) {
  for (const bool little_memory : {false, true}) {
    TimedDevice device;
    if (little_memory) device.mutable_info().memory_bytes = 1;
    const std::string suffix = little_memory ? "-little.db" : ".db";
    const TuneReport tie = tune(device, "tie" + suffix, request(small_space()));
    EXPECT_TRUE(tie.plan.kernels.at(0).programmatic_launch);
    device.replay_us = [&](const std::vector<Launch>& chain) {
      return chain.front().programmatic ? 5.0 * static_cast<double>(chain.size())
                                        : 4.9 * static_cast<double>(chain.size());
    };
    const TuneReport plain = tune(device, "plain" + suffix, request(small_space()));
    EXPECT_FALSE(plain.plan.kernels.at(0).programmatic_launch) << little_memory;
    EXPECT_DOUBLE_EQ(plain.plan.figures.latency_us, 4.9);
  }
}

TEST_F(RacedSession, ABudgetIsSpentOnceAndALargerOneGoesOn) {
  TimedDevice device;
  device.kernel_us = [](const std::string& entry, std::size_t) { return plateau_us(entry); };
  compiler_.delay = std::chrono::milliseconds(5);
  TuneRequest hurried = request(huge_space());
  hurried.budget_s = 0.4;
  const TuneReport first = tune(device, "budget.db", hurried);
  EXPECT_LT(first.verified, 200) << "of 256, at 5 ms each";
  EXPECT_FALSE(first.interrupted);
  EXPECT_TRUE(tune(device, "budget.db", hurried).reused);
  hurried.budget_s = 0;
  EXPECT_EQ(first.verified + tune(device, "budget.db", hurried).verified, 256);
}

// Of two kernels the cheaper is known already: the other's part of the budget is too small for it, and the rest is its.
TEST_F(RacedSession, WhatIsLeftOfABudgetIsSpentWhereThereIsSomethingToGain) {
  TimedDevice device;
  device.kernel_us = [](const std::string& entry, std::size_t) { return plateau_us(entry); };
  TuneRequest cheap = request(huge_space());
  cheap.graph = add_graph(8);
  tune(device, "rest.db", cheap);
  compiler_.delay = std::chrono::milliseconds(5);
  TuneRequest two = request(huge_space());
  two.graph = two_adds_graph();
  two.mode = ExecutionMode::sequential;
  two.budget_s = 2;
  two.schedule_budget_s = 0.2;
  const TuneReport report = tune(device, "rest.db", two);
  EXPECT_GT(report.verified, 0);
  EXPECT_TRUE(report.verified == 256 || report.elapsed_s > 0.85 * two.budget_s)
      << report.verified << " of 256 in " << report.elapsed_s << " s";
  EXPECT_EQ(report.plan.choices.size(), 2u);
  EXPECT_GT(raced(records(report, "rest.db")), 1);
  const TuneReport again = tune(device, "rest.db", two);
  EXPECT_EQ(again.verified, 0) << "of the same budget";

  compiler_.delay = {};
  two.budget_s = 60;
  two.strategy = "portfolio";
  two.min_gain = 0.2;
  EXPECT_LT(tune(device, "enough.db", two).verified, 400) << "of 512: the rest gains too little";
}

// However little time there is, each kernel is tried and the same command once more has nothing to do.
TEST_F(RacedSession, ABudgetTooSmallForAllKernelsLeavesNoneUntried) {
  TimedDevice device;
  compiler_.delay = std::chrono::milliseconds(2);
  TuneRequest hurried = request(huge_space());
  hurried.graph = two_adds_graph();
  hurried.budget_s = 1e-4;
  const TuneReport first = tune(device, "starved.db", hurried);
  EXPECT_GE(first.verified, 2);
  EXPECT_LT(first.verified, 100) << "of 512";
  ASSERT_EQ(first.plan.choices.size(), 2u);
  for (const PlanStep& step : first.plan.steps) EXPECT_GT(step.measured_us, 0) << step.name;
  EXPECT_THAT(first.plan.figures.environment, HasSubstr("schedule cut short by a budget of"));
  const TuneReport again = tune(device, "starved.db", hurried);
  EXPECT_TRUE(again.reused);
  EXPECT_EQ(again.verified, 0);
}

TEST_F(RacedSession, AnInterruptedSearchIsNotOver) {
  TimedDevice device;
  std::atomic<bool> stop{false};
  TuneReport first;
  {
    PlanStore store = PlanStore::open(folder_ / "stopped.db", PlanStore::Mode::tune);
    TuningSession session(&device, &compiler_, store);
    session.set_stop_flag(&stop);
    compiler_.delay = std::chrono::milliseconds(5);
    session.set_observer([&](const TuneProgress& progress) { stop = stop || progress.candidates_done > 10; });
    first = session.tune(request());
  }
  EXPECT_TRUE(first.interrupted);
  EXPECT_EQ(raced(records(first, "stopped.db")), 0);
  compiler_.delay = {};
  const TuneReport second = tune(device, "stopped.db", request());
  EXPECT_FALSE(second.reused);
  EXPECT_EQ(first.verified + second.verified, 64);
}

TEST_F(RacedSession, AScheduleWithoutABudgetKeepsTheKernelsThatAreFastestAlone) {
  TimedDevice device;
  TuneRequest hurried = request(small_space());
  hurried.schedule_budget_s = 1e-9;
  const TuneReport report = tune(device, "hurried.db", hurried);
  EXPECT_EQ(report.plan.choices.at(0).alone_plan_us, 0) << "nothing was compared";
  hurried.schedule_budget_s = 0;
  hurried.schedule_plans = 1;
  const TuneReport one = tune(device, "one.db", hurried);
  EXPECT_GT(one.plan.choices.at(0).alone_plan_us, 0);
}

// Where launches do not start early a replay takes `plain` of the time.
std::function<double(const std::vector<Launch>&)> with_plain_launches(double plain) {
  return [plain](const std::vector<Launch>& chain) {
    return 5.0 * static_cast<double>(chain.size()) * (chain.front().programmatic ? 1 : plain);
  };
}

TEST_F(RacedSession, AScheduleThatItsBudgetCutShortIsGoneOnWith) {
  TimedDevice device;
  device.replay_us = with_plain_launches(0.9);
  TuneRequest asked = request(small_space());
  asked.schedule_budget_s = 1e-9;
  const TuneReport hurried = tune(device, "cut.db", asked);
  EXPECT_THAT(hurried.plan.figures.environment, HasSubstr("schedule cut short by a budget of"));
  EXPECT_FALSE(hurried.plan.kernels.at(0).programmatic_launch);

  asked.schedule_budget_s = 0;
  device.replay_us = with_plain_launches(1.1);
  const TuneReport whole = tune(device, "cut.db", asked);
  EXPECT_FALSE(whole.reused);
  EXPECT_EQ(whole.verified, 0) << "of the kernels all was known";
  EXPECT_GT(whole.plan.choices.at(0).alone_plan_us, 0) << "what was left is done";
  EXPECT_FALSE(whole.plan.kernels.at(0).programmatic_launch) << "and what was settled is not done again";
  EXPECT_THAT(whole.plan.figures.environment, Not(HasSubstr("cut short")));
  asked.schedule_budget_s = 1e-9;
  EXPECT_TRUE(tune(device, "cut.db", asked).reused);
}

TEST_F(RacedSession, AScheduleThatWasStoppedIsGoneOnWith) {
  TimedDevice device;
  {
    PlanStore store = PlanStore::open(folder_ / "stopped.db", PlanStore::Mode::tune);
    TuningSession session(&device, &compiler_, store);
    std::atomic<bool> stop{false};
    session.set_stop_flag(&stop);
    session.set_observer([&](const TuneProgress& progress) {
      stop = stop || (progress.phase == "choose" && progress.problem == kProblem);
    });
    const TuneReport stopped = session.tune(request(small_space()));
    EXPECT_TRUE(stopped.interrupted);
    EXPECT_EQ(stopped.plan.choices.at(0).alone_plan_us, 0);
    EXPECT_EQ(store.sessions().back().outcome, "interrupted");
  }
  const TuneReport whole = tune(device, "stopped.db", request(small_space()));
  EXPECT_FALSE(whole.reused);
  EXPECT_GT(whole.plan.choices.at(0).alone_plan_us, 0);
  EXPECT_TRUE(tune(device, "stopped.db", request(small_space())).reused);
}

TEST_F(RacedSession, AChoiceInContextOfWhatWasTooSlowToRaceIsFoundAgain) {
  TimedDevice device;
  device.kernel_us = [](const std::string& entry, std::size_t length) {
    const bool slow_alone = entry.find("_t128_v1") != std::string::npos;
    return length == 1 ? (slow_alone ? 4.0 : 5.0) : (slow_alone ? 5.6 : 5.0);
  };
  const TuneReport first = tune(device, "context.db", request(small_space()));
  EXPECT_NE(first.plan.kernels.at(0).entry.find("_t128_v1"), std::string::npos);
  for (const CandidateRecord& record : records(first, "context.db")) {
    const bool chosen = record.config == first.plan.choices.at(0).config;
    EXPECT_TRUE(!chosen || !parse_mark(record.detail)) << "it did not race";
  }
  const TuneReport second = tune(device, "context.db", request(small_space()));
  EXPECT_TRUE(second.reused);
  EXPECT_EQ(second.plan.kernels.at(0).entry, first.plan.kernels.at(0).entry);
  EXPECT_EQ(second.verified, 0);
}

TEST_F(RacedSession, AScheduleOfAsManyPlansAsWereAskedForIsSettled) {
  TimedDevice device;
  TuneRequest asked = request(small_space());
  asked.schedule_plans = 1;
  EXPECT_THAT(tune(device, "plans.db", asked).plan.figures.environment, HasSubstr("schedule cut short at 1 plan"));
  EXPECT_TRUE(tune(device, "plans.db", asked).reused);
  asked.schedule_plans = 0;
  EXPECT_FALSE(tune(device, "plans.db", asked).reused);
  EXPECT_TRUE(tune(device, "plans.db", asked).reused);
}

}  // namespace
}  // namespace duet
