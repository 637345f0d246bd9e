#include "tuner/fault_drill.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/error.h"
#include "isolation/isolated_device.h"
#include "tests/isolation/drill_space.h"
#include "tests/support/temp_dir.h"
#include "tests/tuner/fakes.h"
#include "tuner/candidate_log.h"
#include "tuner/tuning_session.h"

namespace duet {
namespace {

constexpr const char* kAddProblem = "pointwise f16 rows=4 columns=40 add_matrix";
constexpr std::size_t kCandidates = 30;

TEST(FaultPlan, OneInFiveIsFaultyAndEveryKindIsAmongThem) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    std::set<PlantedFault> kinds;
    int faulty = 0;
    for (std::size_t rank = 0; rank < kCandidates; ++rank) {
      const PlantedFault fault = planned_fault(seed, kAddProblem, rank, kCandidates);
      if (fault == PlantedFault::none) continue;
      ++faulty;
      kinds.insert(fault);
    }
    EXPECT_EQ(faulty, 6);
    EXPECT_EQ(kinds.size(), static_cast<std::size_t>(kPlantedFaults));
    EXPECT_EQ(planned_fault(seed, kAddProblem, 0, 1), PlantedFault::none) << "the only candidate";
  }
}

TEST(FaultPlan, AFaultySourceIsAnotherSource) {
  const KernelProblem problem = make_kernel_problem(add_graph(), lower_fused(add_graph()).groups.front());
  const KernelSource sound = emit(enumerate_candidates(problem.group().spec, small_space(), test_device()).front());
  EXPECT_EQ(planted_fault(sound.text), PlantedFault::none);
  std::set<std::string> hashes{sound.hash}, texts{sound.text};
  for (int i = 1; i <= kPlantedFaults; ++i) {
    const KernelSource faulty = plant_fault(sound, static_cast<PlantedFault>(i));
    EXPECT_EQ(planted_fault(faulty.text), static_cast<PlantedFault>(i));
    EXPECT_EQ(faulty.entry, sound.entry);
    hashes.insert(faulty.hash);
    texts.insert(faulty.text);
  }
  EXPECT_EQ(hashes.size(), 1u + kPlantedFaults);
  EXPECT_EQ(texts.size(), 1u + kPlantedFaults);
  EXPECT_THROW(plant_fault({.entry = "x", .text = "int x;", .hash = ""}, PlantedFault::hang), Error);
}

class Drill : public testing::Test {
 protected:
  TuneReport tune(const std::string& database, std::optional<std::uint64_t> seed) {
    PlanStore store = PlanStore::open(folder_ / database, PlanStore::Mode::tune);
    IsolatedDevice device({.command = {DUET_TEST_WORKER, "device"},
                           .timeout = std::chrono::milliseconds(300),
                           .memory_limit_bytes = 256 << 20});
    TuneRequest request;
    request.graph = add_graph();
    request.target = "test-orin";
    request.device = test_device();
    request.space = drill_space();
    request.jobs = 1;
    request.drill_seed = seed;
    FakeCompiler compiler;
    TuneReport report = TuningSession(&device, &compiler, store).tune(request);
    records_ = store.candidates(device_text(report.plan.key.device), kAddProblem);
    return report;
  }

  TempDir folder_;
  std::vector<CandidateRecord> records_;
};

// Every candidate takes the same time on the fake device, so that the first sound one tried wins.
TEST_F(Drill, TheRunEndsWithTheBestSoundCandidateAndEveryFaultRecorded) {
  const TuneReport calm = tune("calm.db", std::nullopt);
  std::map<std::string, double> times;
  for (const CandidateRecord& record : records_) times[record.config] = record.median_us;
  EXPECT_TRUE(calm.drill.empty());

  const TuneReport drill = tune("drill.db", 1);
  std::set<PlantedFault> kinds;
  std::map<std::string, std::string> faulty;  // status by config
  for (const DrillOutcome& outcome : drill.drill) {
    EXPECT_TRUE(outcome.as_expected()) << planted_fault_name(outcome.fault) << ": " << outcome.status;
    EXPECT_FALSE(outcome.detail.empty());
    kinds.insert(outcome.fault);
    faulty[outcome.config] = outcome.status;
  }
  EXPECT_EQ(kinds.size(), static_cast<std::size_t>(kPlantedFaults));
  ASSERT_EQ(records_.size(), times.size()) << "nothing is lost";
  for (const CandidateRecord& record : records_) {
    const auto found = faulty.find(record.config);
    EXPECT_EQ(record.status, found == faulty.end() ? "ok" : found->second) << record.config;
    if (found == faulty.end()) {
      EXPECT_EQ(record.median_us, times.at(record.config));
    }
    if (found != faulty.end()) {
      EXPECT_FALSE(record.detail.empty());
    }
  }
  EXPECT_EQ(planted_fault(drill.plan.kernels.front().source), PlantedFault::none);
  EXPECT_EQ(drill.plan.figures.latency_us, calm.plan.figures.latency_us);
}

// A later run without faults knows nothing against the sound twins, and ends as if there had been no drill.
TEST_F(Drill, TheSoundTwinsAreNotAccused) {
  tune("both.db", 2);
  const TuneReport after = tune("both.db", std::nullopt);
  EXPECT_EQ(after.failed, 0);
  const TuneReport calm = tune("calm.db", std::nullopt);
  EXPECT_EQ(after.plan.kernels.front().config_text, calm.plan.kernels.front().config_text);
}

}  // namespace
}  // namespace duet
