// What is tried of a plan's streams and their SMs, on a device whose times are a function of them.
#include "tuner/schedule_choice.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <map>
#include <set>

#include "tests/support/fake_device.h"
#include "tests/support/temp_dir.h"
#include "tests/tuner/fakes.h"
#include "tests/tuner/small_graphs.h"
#include "tuner/sm_shares.h"
#include "tuner/tuning_session.h"

namespace duet {
namespace {

constexpr int kSms = 32;

// Takes the time that a function of the launches says.
class TimedDevice : public FakeDevice {
 public:
  using Time = std::function<double(const std::vector<Launch>&)>;
  explicit TimedDevice(Time time) : time_(std::move(time)) { mutable_info().can_measure = true; }
  std::unique_ptr<Executable> capture(std::span<const Launch> launches) override {
    return std::make_unique<Timed>(time_({launches.begin(), launches.end()}));
  }

 private:
  class Timed : public Executable {
   public:
    explicit Timed(double us) : us_(us) {}
    void run() override {}
    std::vector<double> time_us(int samples, CacheState) override {
      return std::vector<double>(static_cast<std::size_t>(samples), us_);
    }

   private:
    double us_;
  };
  Time time_;
};

StreamShare share_of_stream(const std::vector<Launch>& launches, int stream) {
  for (const Launch& launch : launches)
    if (launch.stream == stream) return launch.share;
  return {};
}

class Schedules : public ::testing::Test {
 protected:
  Plan tuned(ExecutionMode mode) {
    TuneRequest request;
    request.graph = graph_;
    request.target = "test-orin";
    request.device = test_device();
    request.device.sm_count = kSms;
    request.space = small_space();
    request.mode = mode;
    PlanStore store = PlanStore::open(folder_ / "plans.db", PlanStore::Mode::tune);
    return TuningSession(nullptr, &compiler_, store).tune(request).plan;
  }
  // The plan as a variant has it.
  static Plan varied(const Plan& plan, const ScheduleVariant& variant) {
    Plan changed = plan;
    changed.streams.clear();
    if (variant.first_share > 0)
      changed.streams = {{}, {.sms = variant.first_share}, {.sms = kSms - variant.first_share}};
    changed = with_launch_order(changed, variant.order);
    return variant.priority >= 0 ? with_priority(changed, variant.priority) : changed;
  }
  ScheduleVariant choose(const Plan& plan, const TimedDevice::Time& time,
                         const std::function<ScheduleVariant(ScheduleChoice&)>& how, ScheduleLimits limits = {}) {
    TimedDevice device(time);
    ThrottleWatch watch(device);
    PlanTimer timer(device, graph_, 1, watch);
    ScheduleChoice schedule(
        timer,
        [&](const std::vector<ChosenKernel>&, const ScheduleVariant& variant) {
          ++made_;
          return varied(plan, variant);
        },
        std::move(limits));
    return how(schedule);
  }

  Graph graph_ = tiny_dual();
  TempDir folder_;
  FakeCompiler compiler_;
  int made_ = 0;
};

TEST_F(Schedules, SharesOfTheSmsAreWalkedToTheFastest) {
  const Plan plan = tuned(ExecutionMode::partition);
  const std::vector<int> shares = possible_shares(kSms, {.least = 2, .step = 2});
  for (const int best : {8, 16, 20}) {
    const auto time = [&](const std::vector<Launch>& launches) {
      return 100.0 + 5 * std::abs(share_of_stream(launches, 1).sms - best);
    };
    const ScheduleVariant chosen = choose(
        plan, time, [&](ScheduleChoice& schedule) { return schedule.choose_share({}, {.first_share = 14}, shares); });
    EXPECT_EQ(chosen.first_share, best);
  }
}

TEST_F(Schedules, OfSharesThatTieTheOneTunedForStays) {
  const Plan plan = tuned(ExecutionMode::partition);
  const auto same = [](const std::vector<Launch>&) { return 100.0; };
  const ScheduleVariant like{.first_share = 14};
  const auto how = [&](ScheduleChoice& schedule) {
    return schedule.choose_share({}, like, possible_shares(kSms, {.least = 2, .step = 2}));
  };
  EXPECT_EQ(choose(plan, same, how), like);
  made_ = 0;
  EXPECT_EQ(choose(plan, same, how, {.stopped = [] { return true; }}), like);
  EXPECT_EQ(made_, 0) << "nothing is tried after a stop";
}

// Sets of kernels by the first launch's grid: the first is what there is.
TEST_F(Schedules, KernelsAreExchangedTogether) {
  const Plan plan = tuned(ExecutionMode::streams);
  std::map<int, double> lucky;  // what a set's first engine takes
  const auto chosen = [&](const std::map<int, double>& time_of_set, ScheduleLimits limits = {}) {
    TimedDevice device([&](const std::vector<Launch>& launches) {
      const auto first = lucky.extract(launches.front().grid.x);
      return first.empty() ? time_of_set.at(launches.front().grid.x) : first.mapped();
    });
    ThrottleWatch watch(device);
    PlanTimer timer(device, graph_, 1, watch);
    ScheduleChoice schedule(
        timer,
        [&](const std::vector<ChosenKernel>& kernels, const ScheduleVariant&) {
          Plan changed = plan;
          changed.steps.front().grid.x = std::stoi(kernels.front().source.entry);
          return changed;
        },
        std::move(limits));
    std::vector<std::vector<ChosenKernel>> sets;
    for (const auto& [set, us] : time_of_set)
      sets.push_back({{.tile = {}, .source = {.entry = std::to_string(set), .text = {}, .hash = {}}, .images = {}}});
    return schedule.choose_kernels(sets, {});
  };
  const auto faster = chosen({{1, 100}, {2, 97}, {3, 90}});
  ASSERT_TRUE(faster.has_value());
  EXPECT_EQ(faster->chosen, 2u);
  EXPECT_EQ(faster->before_us(), 100);
  EXPECT_EQ(faster->chosen_us(), 90);
  EXPECT_EQ(chosen({{1, 100}, {2, 99.6}, {3, 99.2}})->chosen, 0u) << "a tie stays";
  EXPECT_EQ(chosen({{1, 100}, {2, 97}, {3, 90}}, {.max_plans = 1})->chosen, 1u);
  EXPECT_FALSE(chosen({{1, 100}}).has_value()) << "nothing to compare";
  lucky = {{3, 90}};
  EXPECT_EQ(chosen({{1, 100}, {2, 100}, {3, 100}})->chosen, 0u) << "a gain that engines made anew do not have";
}

TEST_F(Schedules, OrdersAndPrioritiesAreTriedTogether) {
  const Plan plan = tuned(ExecutionMode::streams);
  const auto time = [](const std::vector<Launch>& launches) {
    const double order_us = launches.front().stream == 1 ? 90 : 100;  // text first
    return order_us - (share_of_stream(launches, 0).priority > 0 ? 10 : 0);
  };
  const ScheduleVariant chosen =
      choose(plan, time, [](ScheduleChoice& schedule) { return schedule.choose_streams({}, {.prefetch = true}, 2); });
  EXPECT_EQ(chosen, (ScheduleVariant{.prefetch = true, .order = LaunchOrder::reversed, .priority = 0}));
  const ScheduleVariant divided = choose(tuned(ExecutionMode::partition), time, [](ScheduleChoice& schedule) {
    return schedule.choose_streams({}, {.first_share = 16}, 3);
  });
  EXPECT_EQ(divided.priority, -1) << "towers that share no SMs need none";
}

}  // namespace
}  // namespace duet
