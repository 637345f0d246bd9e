#include "tuner/tuning_session.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "base/error.h"
#include "tests/support/temp_dir.h"
#include "tests/tuner/adding_device.h"
#include "tests/tuner/fakes.h"
#include "tests/tuner/small_graphs.h"
#include "tuner/candidate_log.h"

namespace duet {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kAddProblem = "pointwise f16 rows=4 columns=40 add_matrix";

class Session : public testing::Test {
 protected:
  Session() : store_(PlanStore::open(folder_ / "plans.db", PlanStore::Mode::tune)) {}

  TuneRequest request(Graph graph) const {
    TuneRequest request;
    request.graph = std::move(graph);
    request.target = "test-orin";
    request.device = test_device();
    request.space = small_space();
    request.jobs = 2;
    return request;
  }
  TuneReport tune(const TuneRequest& request, Device* device = nullptr) {
    return TuningSession(device, &compiler_, store_).tune(request);
  }

  TempDir folder_;
  PlanStore store_;
  FakeCompiler compiler_;
};

TEST_F(Session, EveryRunLeavesARow) {
  TuneRequest first = request(tiny_dual());
  first.commit = "a48b17b0c1d2";
  const TuneReport report = tune(first);
  compiler_.fails = [](const KernelSource&) { return true; };
  compiler_.version_text = "fake 2.0";
  EXPECT_THROW(tune(baseline_of(request(tiny_dual()))), Error);
  const std::vector<SessionRecord> sessions = store_.sessions();
  ASSERT_EQ(sessions.size(), 2u);
  EXPECT_EQ(sessions[0].outcome, "complete");
  EXPECT_EQ(sessions[0].model, "tiny-dual");
  EXPECT_EQ(sessions[0].variant, "fused-streams");
  EXPECT_EQ(sessions[0].commit, "a48b17b0c1d2");
  EXPECT_EQ(report.plan.figures.commit, "a48b17b0c1d2");
  EXPECT_EQ(sessions[0].candidates, report.candidates);
  EXPECT_EQ(sessions[0].compiled, report.compiled);
  EXPECT_NE(sessions[0].settings.find("\"target\":\"test-orin\""), std::string::npos) << sessions[0].settings;
  EXPECT_FALSE(sessions[0].started.empty());
  EXPECT_FALSE(sessions[0].finished.empty());
  EXPECT_EQ(sessions[1].variant, "baseline");
  EXPECT_TRUE(sessions[1].outcome.starts_with("failed: kernel '")) << sessions[1].outcome;
}

TEST_F(Session, WhatCannotRunIsCounted) {
  TuneRequest tight = request(add_graph());
  tight.space.ranges["pointwise"]["threads"].push_back(2048);  // more than CUDA allows
  for (int run = 0; run < 2; ++run) {
    const TuneReport report = tune(tight);
    EXPECT_GT(report.infeasible, 0);
    const std::string device = device_text(report.plan.key.device);
    int counted = 0;
    for (const InfeasibleCount& count : store_.infeasible(device, kAddProblem)) counted += count.candidates;
    EXPECT_EQ(counted, report.infeasible);
    for (const CandidateRecord& record : store_.candidates(device, kAddProblem)) EXPECT_EQ(record.status, kStatusOk);
  }
}

TEST_F(Session, AnAbsentDeviceGetsAPredictedPlan) {
  const TuneReport report = tune(request(tiny_dual()));
  EXPECT_EQ(report.plan.provenance, Provenance::predicted);
  EXPECT_EQ(report.plan.mode, ExecutionMode::streams);
  EXPECT_EQ(report.plan.key.variant, "fused-streams");
  EXPECT_GT(report.plan.figures.latency_us, 0);
  EXPECT_TRUE(report.plan.figures.latency_us_samples.empty());
  EXPECT_GT(report.compiled, 0);
  EXPECT_FALSE(report.interrupted);
  const PlanMatch match = store_.find(report.plan.key);
  EXPECT_EQ(match.kind, MatchKind::exact);
  std::size_t steps = 0;
  for (const KernelChoice& choice : report.plan.choices) {
    steps += choice.steps.size();
    EXPECT_TRUE(store_.find_candidate(choice.device, choice.problem, choice.config, choice.source_hash).has_value());
    EXPECT_EQ(choice.alone_plan_us, 0);
    for (const int step : choice.steps) {
      const int kernel = report.plan.steps.at(static_cast<std::size_t>(step)).kernel;
      EXPECT_EQ(report.plan.kernels.at(static_cast<std::size_t>(kernel)).config_text, choice.config);
    }
  }
  EXPECT_EQ(steps, report.plan.steps.size());
}

TEST_F(Session, APairedPlanKnowsWhichLaunchesItsChoicesAreIn) {
  TuneRequest paired = request(tiny_dual());
  paired.mode = ExecutionMode::paired;
  const Plan plan = tune(paired).plan, apart = tune(request(tiny_dual())).plan;
  EXPECT_EQ(plan.key.variant, "fused-paired");
  EXPECT_LT(plan.steps.size(), apart.steps.size());
  ASSERT_EQ(plan.choices.size(), apart.choices.size());
  for (std::size_t problem = 0; problem < plan.choices.size(); ++problem) {
    const KernelChoice& choice = plan.choices[problem];
    ASSERT_EQ(choice.steps.size(), apart.choices[problem].steps.size());
    for (std::size_t use = 0; use < choice.steps.size(); ++use) {
      const PlanStep& launch = plan.steps.at(static_cast<std::size_t>(choice.steps[use]));
      const auto step = static_cast<std::size_t>(apart.choices[problem].steps[use]);
      EXPECT_NE(launch.name.find(apart.steps[step].name), std::string::npos) << launch.name;
    }
  }
}

TEST_F(Session, APartitionedPlanGivesEachTowerSmsAndItsOwnTiles) {
  TuneRequest request_parts = request(tiny_dual());
  request_parts.mode = ExecutionMode::partition;
  request_parts.device.sm_count = 16;
  const Plan plan = tune(request_parts).plan;
  EXPECT_EQ(plan.key.variant, "fused-partition");
  ASSERT_EQ(plan.streams.size(), 3u);
  EXPECT_EQ(plan.streams[0], StreamShare{});
  EXPECT_GT(plan.streams[1].sms, 0);
  EXPECT_EQ(plan.streams[1].sms + plan.streams[2].sms, 16);
  for (const PlanStep& step : plan.steps)
    EXPECT_EQ(step.stream, step.tower == "joint" ? 0 : step.tower == "vision" ? 1 : 2) << step.name;
  EXPECT_EQ(store_.find(plan.key).plan, plan);
  std::set<std::string> devices;
  for (const KernelChoice& choice : plan.choices) {
    devices.insert(choice.device);
    EXPECT_TRUE(store_.find_candidate(choice.device, choice.problem, choice.config, choice.source_hash).has_value());
  }
  EXPECT_EQ(devices.size(), 3u) << "each tower's SMs, and all of them for what is joint";
}

TEST_F(Session, WithoutSmsToDivideTheTowersShareThem) {
  TuneRequest one_sm = request(tiny_dual());
  one_sm.mode = ExecutionMode::partition;
  one_sm.device.sm_count = 1;
  const Plan plan = tune(one_sm).plan;
  EXPECT_EQ(plan.mode, ExecutionMode::partition);
  EXPECT_TRUE(plan.streams.empty());
}

TEST_F(Session, TheBaselineIsUnfusedAndSequential) {
  const TuneReport baseline = tune(baseline_of(request(tiny_dual())));
  const TuneReport fused = tune(request(tiny_dual()));
  EXPECT_EQ(baseline.plan.key.variant, "baseline");
  EXPECT_EQ(baseline.plan.stream_count, 1);
  EXPECT_LT(fused.plan.steps.size(), baseline.plan.steps.size() / 2);
  EXPECT_LT(fused.plan.figures.latency_us, baseline.plan.figures.latency_us);
}

TEST_F(Session, OnlyTheModelsFirstAreCompiledForAnAbsentDevice) {
  TuneRequest limited = request(tiny_dual());
  limited.max_candidates_per_kernel = 1;
  const TuneReport one = tune(limited);
  const int compiled_once = compiler_.calls;
  EXPECT_GT(one.candidates, one.compiled);
  limited.max_candidates_per_kernel = 3;
  tune(limited);
  EXPECT_GT(compiler_.calls, 2 * compiled_once);
}

TEST_F(Session, SpillingKernelsAreRefusedWhereNothingIsMeasured) {
  // Whatever product the model ranks first spills.
  std::set<std::string> first;
  {
    TuneRequest limited = request(tiny_dual());
    limited.max_candidates_per_kernel = 1;
    for (const PlanKernel& kernel : tune(limited).plan.kernels)
      if (kernel.family == "gemm") first.insert(kernel.entry);
  }
  compiler_.spills = [&](const KernelSource& source) { return first.contains(source.entry) ? 64 : 0; };
  compiler_.version_text = "fake 2.0";
  const TuneReport report = tune(request(tiny_dual()));
  for (const PlanKernel& kernel : report.plan.kernels) {
    EXPECT_FALSE(first.contains(kernel.entry)) << kernel.entry;
    EXPECT_EQ(kernel.images.front().spill_bytes, 0);
  }
}

TEST_F(Session, NoValidCandidateNamesTheKernelAndTheReasons) {
  compiler_.fails = [](const KernelSource& source) { return source.entry.starts_with("attention"); };
  try {
    tune(request(tiny_dual()));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::no_result);
    const std::string message = error.what();
    EXPECT_NE(message.find("kernel 'attention f16"), std::string::npos) << message;
    EXPECT_NE(message.find("compile error"), std::string::npos) << message;
  }
}

TEST_F(Session, OutcomesAreRecordedAndFailuresNotRepeated) {
  // The first candidate to be compiled is the one that fails.
  std::string first_entry;
  std::mutex mutex;
  compiler_.fails = [&](const KernelSource& source) {
    const std::lock_guard lock(mutex);
    if (first_entry.empty()) first_entry = source.entry;
    return source.entry == first_entry;
  };
  const TuneReport first = tune(request(add_graph()));
  EXPECT_EQ(first.failed, 1);
  EXPECT_GT(first.compiled, 0);
  const TuneReport second = tune(request(add_graph()));
  EXPECT_EQ(second.failed, 0);
  EXPECT_EQ(second.cached, first.compiled + 1);
}

// With a device that executes and measures.
class MeasuringSession : public Session {
 protected:
  MeasuringSession() {
    device_.mutable_info().can_measure = true;
    device_.mutable_info().fingerprint.l2_bytes = 4 << 20;
  }
  AddingDevice device_;
};

TEST_F(MeasuringSession, PlansAreVerifiedAndMeasured) {
  const TuneReport report = tune(request(add_graph()), &device_);
  EXPECT_EQ(report.plan.provenance, Provenance::measured);
  EXPECT_GT(report.verified, 1);
  EXPECT_EQ(report.plan.figures.latency_us, 10);
  EXPECT_FALSE(report.plan.figures.latency_us_samples.empty());
  EXPECT_GT(report.plan.steps.front().measured_us, 0);
  EXPECT_EQ(device_.live_allocations(), 0u);
  const auto records = store_.candidates(device_text(report.plan.key.device), kAddProblem);
  EXPECT_EQ(static_cast<int>(records.size()), report.candidates);
  for (const CandidateRecord& record : records) {
    EXPECT_EQ(record.provenance, Provenance::measured);
    EXPECT_EQ(record.threads % 32, 0);
    EXPECT_GT(record.threads, 0);
    EXPECT_GT(record.blocks_per_sm, 0);
    EXPECT_GT(record.cost_s, 0);
  }
}

// A device that the store knows nothing of begins with what another one found, whatever the strategy.
TEST_F(MeasuringSession, AnotherDevicesResultsAreTriedFirst) {
  TuneRequest wide = request(add_graph());
  wide.strategy = "exhaustive";
  EXPECT_TRUE(tune(wide, &device_).warm.empty());
  device_.mutable_info().fingerprint.module = "another";
  const TuneReport second = tune(wide, &device_);
  ASSERT_EQ(second.warm.size(), 1u);
  EXPECT_EQ(second.warm[0].problem, kAddProblem);
  EXPECT_EQ(second.warm[0].from_problem, kAddProblem);
  EXPECT_NE(second.warm[0].from_device, device_text(second.plan.key.device));
  EXPECT_GT(second.warm[0].candidates, 0);
  EXPECT_GE(second.warm[0].regret(), 0);
  EXPECT_EQ(second.verified, second.candidates - second.infeasible) << "the rest of the search is as without";

  device_.mutable_info().fingerprint.module = "a third";
  TuningSession cold(&device_, &compiler_, store_);
  cold.set_warm_store(nullptr);
  EXPECT_TRUE(cold.tune(wide).warm.empty());
  PlanStore empty = PlanStore::open(folder_ / "empty.db", PlanStore::Mode::tune);
  device_.mutable_info().fingerprint.module = "a fourth";
  TuningSession elsewhere(&device_, &compiler_, empty);
  elsewhere.set_warm_store(&store_);
  EXPECT_EQ(elsewhere.tune(wide).warm.size(), 1u);
}

TEST_F(MeasuringSession, WhatWasMeasuredIsNotMeasuredAgain) {
  const TuneReport first = tune(request(add_graph()), &device_);
  const int launches = device_.launches;
  const TuneReport second = tune(request(add_graph()), &device_);
  EXPECT_EQ(second.cached, first.verified);
  EXPECT_EQ(second.verified, 0);
  EXPECT_LE(device_.launches - launches, 1) << "the whole plan alone is verified";
  EXPECT_EQ(second.plan.steps.front().measured_us, first.plan.steps.front().measured_us);
}

TEST_F(MeasuringSession, GrowingASpaceMeasuresOnlyWhatIsNew) {
  TuneRequest narrow = request(add_graph());
  narrow.space.ranges["pointwise"]["threads"] = {64};
  const TuneReport first = tune(narrow, &device_);
  ASSERT_GT(first.verified, 0);
  TuneRequest wide = request(add_graph());
  const TuneReport second = tune(wide, &device_);
  ASSERT_GT(second.candidates, first.candidates);
  EXPECT_EQ(second.cached, first.verified);
  EXPECT_EQ(second.verified, second.candidates - second.infeasible - first.verified);
  for (const char* what : {"narrower", "wider"}) {
    const TuneReport again = tune(what[0] == 'n' ? narrow : wide, &device_);
    EXPECT_EQ(again.verified, 0) << what;
  }
}

TEST_F(MeasuringSession, APlanTellsWhyItsKernelsWereChosen) {
  const TuneReport report = tune(request(add_graph()), &device_);
  ASSERT_EQ(report.plan.choices.size(), 1u);
  const KernelChoice& choice = report.plan.choices[0];
  EXPECT_EQ(choice.device, device_text(report.plan.key.device));
  EXPECT_EQ(choice.problem, kAddProblem);
  EXPECT_EQ(choice.steps, std::vector<int>{0});
  EXPECT_EQ(choice.config, report.plan.kernels[0].config_text);
  const auto record = store_.find_candidate(choice.device, choice.problem, choice.config, choice.source_hash);
  ASSERT_TRUE(record.has_value());
  EXPECT_EQ(record->status, kStatusOk);
  EXPECT_EQ(choice.alone_plan_us, 10) << "compared with the finalists in the whole plan";
  EXPECT_EQ(choice.chosen_plan_us, 10);
  EXPECT_EQ(store_.find(report.plan.key).plan->choices, report.plan.choices);
}

TEST_F(MeasuringSession, WrongKernelsNeverWin) {
  device_.defect = AddingDevice::Defect::wrong_element;
  try {
    tune(request(add_graph()), &device_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::no_result);
    EXPECT_NE(std::string(error.what()).find("wrong result"), std::string::npos);
  }
}

// A fault may have been the device's: it is tried once more, by a later run.
TEST_F(MeasuringSession, AFaultIsTriedOnceMore) {
  device_.defect = AddingDevice::Defect::faults;
  EXPECT_THROW(tune(request(add_graph()), &device_), Error);
  device_.defect = AddingDevice::Defect::none;
  const TuneReport report = tune(request(add_graph()), &device_);
  EXPECT_EQ(report.cached, 0);
  EXPECT_GT(report.verified, 1);
  const auto records = store_.candidates(device_text(report.plan.key.device), kAddProblem);
  for (const CandidateRecord& record : records) EXPECT_EQ(record.attempts, record.status == "ok" ? 2 : 1);
}

TEST_F(MeasuringSession, ARepeatedFaultIsBelieved) {
  device_.defect = AddingDevice::Defect::faults;
  EXPECT_THROW(tune(request(add_graph()), &device_), Error);
  EXPECT_THROW(tune(request(add_graph()), &device_), Error);
  device_.defect = AddingDevice::Defect::none;
  try {
    tune(request(add_graph()), &device_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("crash"), std::string::npos);
  }
}

TEST_F(Session, ADeviceThatOnlyExecutesVerifiesEveryCandidate) {
  AddingDevice device;
  const TuneReport report = tune(request(add_graph()), &device);
  EXPECT_EQ(report.plan.provenance, Provenance::emulated);
  EXPECT_GT(report.verified, 1);
  EXPECT_EQ(report.verified, report.candidates - report.infeasible);
  EXPECT_TRUE(report.plan.figures.latency_us_samples.empty());
  EXPECT_GT(report.plan.figures.latency_us, 0);
}

TEST_F(Session, StoppingKeepsWhatWasFound) {
  compiler_.delay = std::chrono::milliseconds(20);
  std::atomic<bool> stop{false};
  TuningSession session(nullptr, &compiler_, store_);
  session.set_stop_flag(&stop);
  Clock::time_point stopped;
  session.set_observer([&](const TuneProgress& progress) {
    if (!stop && progress.kernels_done >= 2) {
      stop = true;
      stopped = Clock::now();
    }
  });
  TuneRequest long_request = request(tiny_dual());
  long_request.max_candidates_per_kernel = 1000;
  const TuneReport report = session.tune(long_request);
  EXPECT_TRUE(report.interrupted);
  EXPECT_EQ(store_.sessions().back().outcome, "interrupted");
  EXPECT_LT(Clock::now() - stopped, std::chrono::seconds(2));
  EXPECT_EQ(store_.find(report.plan.key).kind, MatchKind::exact);
}

TEST_F(Session, ABudgetEndsTheSearch) {
  compiler_.delay = std::chrono::milliseconds(5);
  TuneRequest limited = request(tiny_dual());
  limited.max_candidates_per_kernel = 1000;
  limited.budget_s = 0.3;
  const auto start = Clock::now();
  const TuneReport report = tune(limited);
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(3));
  EXPECT_FALSE(report.interrupted);
  EXPECT_FALSE(report.plan.steps.empty());
}

TEST_F(Session, ProgressIsShown) {
  std::set<std::string> phases;
  int last_done = 0;
  TuningSession session(nullptr, &compiler_, store_);
  session.set_observer([&](const TuneProgress& progress) {
    phases.insert(progress.phase);
    EXPECT_GE(progress.kernels_done, last_done);
    EXPECT_LE(progress.kernels_done, progress.kernels_total);
    last_done = progress.kernels_done;
  });
  session.tune(request(tiny_dual()));
  EXPECT_TRUE(phases.contains("compile"));
  EXPECT_TRUE(phases.contains("plan"));
  EXPECT_GT(last_done, 0);
}

TEST_F(Session, NeitherCompilerNorDeviceIsMissing) {
  try {
    TuningSession(nullptr, nullptr, store_).tune(request(add_graph()));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::missing);
  }
}

}  // namespace
}  // namespace duet
