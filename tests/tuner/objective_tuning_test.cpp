// Runs for other goals than the least latency, on a device whose fastest plan is not its thriftiest.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>

#include "base/error.h"
#include "runtime/plan_memory.h"
#include "tests/support/error_of.h"
#include "tests/support/temp_dir.h"
#include "tests/tuner/adding_device.h"
#include "tests/tuner/fakes.h"
#include "tests/tuner/small_graphs.h"
#include "tuner/schedule_cut.h"
#include "tuner/tried_plans.h"
#include "tuner/tuning_session.h"

namespace duet {
namespace {

using testing::HasSubstr;

// Early launches take 10 us and 5 mJ, plain ones 11 us and 3 mJ.
class MeteredDevice : public AddingDevice {
 public:
  MeteredDevice() {
    mutable_info().can_measure = true;
    mutable_info().fingerprint.l2_bytes = 4 << 20;
    replay_us = [](const std::vector<Launch>& chain) { return early(chain) ? 10.0 : 11.0; };
  }
  std::unique_ptr<Executable> capture(std::span<const Launch> chain) override {
    return std::make_unique<Metered>(*this, AddingDevice::capture(chain),
                                     early({chain.begin(), chain.end()}) ? 5.0 : 3.0);
  }
  std::unique_ptr<EnergyCounter> energy_counter() const override {
    return has_meter ? std::make_unique<Counter>(*this) : nullptr;
  }
  bool has_meter = true;

 private:
  class Metered : public Executable {
   public:
    Metered(MeteredDevice& device, std::unique_ptr<Executable> executable, double run_mj)
        : device_(device), executable_(std::move(executable)), run_mj_(run_mj) {}
    void run() override {
      executable_->run();
      device_.energy_mj_ += run_mj_;
    }
    std::vector<double> time_us(int samples, CacheState caches) override {
      return executable_->time_us(samples, caches);
    }

   private:
    MeteredDevice& device_;
    std::unique_ptr<Executable> executable_;
    double run_mj_;
  };
  class Counter : public EnergyCounter {
   public:
    explicit Counter(const MeteredDevice& device) : device_(device) {}
    double read_mj() override { return device_.energy_mj_; }

   private:
    const MeteredDevice& device_;
  };
  static bool early(const std::vector<Launch>& chain) {
    return std::any_of(chain.begin(), chain.end(), [](const Launch& launch) { return launch.programmatic; });
  }

  double energy_mj_ = 0;
};

class Objectives : public testing::Test {
 protected:
  Objectives() : store_(PlanStore::open(folder_ / "plans.db", PlanStore::Mode::tune)) {}

  TuneRequest request(Graph graph, const Goal& goal) const {
    TuneRequest request;
    request.graph = std::move(graph);
    request.target = "test-orin";
    request.device = test_device();
    request.space = small_space();
    request.goal = goal;
    request.energy_s = 0;  // one chunk of runs
    return request;
  }
  TuneReport run(const TuneRequest& asked) { return TuningSession(&device_, &compiler_, store_).tune(asked); }
  TuneReport tune(const Goal& goal) { return run(request(add_graph(), goal)); }
  TuneReport tune_absent(const Goal& goal) {
    return TuningSession(nullptr, &compiler_, store_).tune(request(tiny_dual(), goal));
  }

  TempDir folder_;
  PlanStore store_;
  FakeCompiler compiler_;
  MeteredDevice device_;
};

TEST_F(Objectives, TheThriftiestPlanIsStoredWithItsEnergy) {
  const TuneReport report = tune({.objective = Objective::energy});
  EXPECT_EQ(report.plan.figures.latency_us, 11);
  EXPECT_NEAR(report.plan.figures.energy_mj, 3, 1e-9);
  EXPECT_EQ(report.plan.figures.objective, "least energy");
  EXPECT_TRUE(report.goal_met);
  EXPECT_EQ(store_.find(report.plan.key).plan, report.plan);
  ASSERT_EQ(report.points.size(), 2u) << "the fastest, and the thriftiest";
  EXPECT_EQ(report.points[0].latency_us, 10);
  EXPECT_NEAR(report.points[0].energy_mj, 5, 1e-9);
  EXPECT_TRUE(report.points[1].chosen);
  EXPECT_EQ(report.points[1].memory_bytes, plan_memory_bytes(report.plan));
  EXPECT_EQ(store_.sessions().back().points, report.points);
  EXPECT_NE(store_.sessions().back().settings.find("\"objective\":\"energy\""), std::string::npos);
}

TEST_F(Objectives, ALimitComesBeforeTheObjective) {
  const TuneReport report = tune({.objective = Objective::energy, .max_latency_us = 10.5});
  EXPECT_EQ(report.plan.figures.latency_us, 10);
  EXPECT_EQ(report.plan.figures.objective, "least energy, latency <= 10.5 us");
  EXPECT_TRUE(report.goal_met);
}

TEST_F(Objectives, WhereNothingIsWithinTheLimitsTheNearestIsStoredAndSaysSo) {
  const TuneReport report = tune({.objective = Objective::energy, .max_latency_us = 5});
  EXPECT_FALSE(report.goal_met);
  EXPECT_EQ(report.plan.figures.latency_us, 10);
  EXPECT_EQ(store_.find(report.plan.key).plan->figures.objective, "least energy, latency <= 5 us, not met");
  const TuneReport again = tune({.objective = Objective::energy, .max_latency_us = 5});
  EXPECT_TRUE(again.reused);
  EXPECT_FALSE(again.goal_met);
}

TEST_F(Objectives, APlanForAnotherObjectiveIsNotTakenAgain) {
  const TuneReport fastest = tune({});
  EXPECT_EQ(fastest.plan.figures.latency_us, 10);
  EXPECT_NEAR(fastest.plan.figures.energy_mj, 5, 1e-9) << "measured where there is a meter";
  EXPECT_EQ(fastest.plan.figures.objective, "");
  EXPECT_TRUE(tune({}).reused);
  const TuneReport thrifty = tune({.objective = Objective::energy});
  EXPECT_FALSE(thrifty.reused);
  EXPECT_EQ(thrifty.plan.figures.latency_us, 11);
  EXPECT_TRUE(tune({.objective = Objective::energy}).reused);
  EXPECT_FALSE(tune({}).reused);
}

TEST_F(Objectives, AScheduleThatWasCutShortIsGoneOnWithForTheSameGoal) {
  TuneRequest hurried = request(add_graph(), {.objective = Objective::energy});
  hurried.schedule_budget_s = 1e-9;
  const TuneReport cut = run(hurried);
  EXPECT_THAT(cut.plan.figures.environment, HasSubstr("schedule cut short by a budget of"));
  EXPECT_EQ(cut.plan.choices.at(0).alone_plan_us, 0);

  const TuneReport whole = tune({.objective = Objective::energy});
  EXPECT_FALSE(whole.reused);
  EXPECT_EQ(whole.plan.figures.latency_us, 11) << "still the thriftiest";
  EXPECT_EQ(whole.plan.figures.objective, "least energy");
  EXPECT_GT(whole.plan.choices.at(0).alone_plan_us, 0) << "what was left is done";
  EXPECT_EQ(find_cut(whole.plan.figures.environment), std::nullopt);
  EXPECT_GE(whole.points.size(), 2u) << "there was more to choose from than the earlier plan";
  EXPECT_TRUE(tune({.objective = Objective::energy}).reused);
}

TEST_F(Objectives, AScheduleThatWasCutShortForAnotherGoalIsNotGoneOnWith) {
  TuneRequest hurried = request(add_graph(), {.objective = Objective::energy});
  hurried.schedule_budget_s = 1e-9;
  EXPECT_EQ(run(hurried).plan.figures.latency_us, 11);
  hurried.goal = {};
  EXPECT_EQ(run(hurried).plan.figures.latency_us, 10);
}

TEST_F(Objectives, AStopBeforeAllEnergiesAreKnownLeavesTheRestToTheNextRun) {
  std::atomic<bool> stop{false};
  TuningSession session(&device_, &compiler_, store_);
  session.set_stop_flag(&stop);
  session.set_observer(
      [&](const TuneProgress& progress) { stop = stop || progress.problem == "the energy of whole plans"; });
  const TuneReport stopped = session.tune(request(add_graph(), {.objective = Objective::energy}));
  EXPECT_TRUE(stopped.interrupted);
  EXPECT_EQ(stopped.plan.figures.latency_us, 10) << "the only one whose energy is known";
  EXPECT_THAT(stopped.plan.figures.environment, HasSubstr("schedule cut short by a stop"));

  const TuneReport whole = tune({.objective = Objective::energy});
  EXPECT_FALSE(whole.reused);
  EXPECT_EQ(whole.plan.figures.latency_us, 11);
  EXPECT_TRUE(tune({.objective = Objective::energy}).reused);
}

TEST_F(Objectives, EnergyWithoutAMeterIsRefusedBeforeAnythingIsTried) {
  device_.has_meter = false;
  error_of(ErrorKind::missing, [&] { tune({.objective = Objective::energy}); });
  error_of(ErrorKind::missing, [&] { tune_absent({.objective = Objective::energy}); });
  EXPECT_EQ(compiler_.calls, 0);
  EXPECT_TRUE(store_.sessions().empty());
  EXPECT_EQ(tune({}).plan.figures.energy_mj, 0);
}

TEST_F(Objectives, AMemoryLimitHoldsForPredictedPlansToo) {
  const TuneReport fastest = tune_absent({});
  const TuneReport within = tune_absent({.max_memory_bytes = fastest.point.memory_bytes});
  EXPECT_TRUE(within.goal_met);
  EXPECT_EQ(within.plan.provenance, Provenance::predicted);
  EXPECT_EQ(within.points, std::vector{within.point});
  const TuneReport over = tune_absent({.max_memory_bytes = fastest.point.memory_bytes - 1});
  EXPECT_FALSE(over.goal_met);
  EXPECT_TRUE(over.plan.figures.objective.ends_with("not met")) << over.plan.figures.objective;
}

TEST(LeanestKernels, TakeTheAlternativeOfTheLeastScratchMemory) {
  const auto kernel = [](const char* entry) {
    return ChosenKernel{.tile = {}, .source = make_source(entry), .images = {}};
  };
  const std::map<std::string, std::int64_t> scratch{{"split4", 400}, {"split2", 200}, {"whole", 0}, {"other", 0}};
  const std::vector<ChosenKernel> lean =
      leanest_kernels({kernel("split4"), kernel("whole"), kernel("split2")},
                      {{kernel("split2"), kernel("whole"), kernel("other")}, {kernel("other"), kernel("split2")}, {}},
                      [&](std::size_t, const ChosenKernel& chosen) { return scratch.at(chosen.source.entry); });
  ASSERT_EQ(lean.size(), 3u);
  EXPECT_EQ(lean[0].source.entry, "whole");
  EXPECT_EQ(lean[1].source.entry, "whole") << "nothing has less";
  EXPECT_EQ(lean[2].source.entry, "split2") << "there is no other";
}

}  // namespace
}  // namespace duet
