// Replays of an engine on a device of functions, recorded by a CUPTI of functions, to a plan's timeline.
#include "profile/recording.h"

#include <gtest/gtest.h>

#include "profile/step_match.h"
#include "tests/profile/fake_cupti.h"
#include "tests/support/two_tower_plan.h"

namespace duet {
namespace {

// What CUPTI would tell of one replay of `plan`: a kernel after the other, 1 us each.
std::vector<cupti::KernelActivity> activities(const Plan& plan) {
  std::vector<cupti::KernelActivity> records;
  for (const PlanStep& step : plan.steps) {
    cupti::KernelActivity& record = records.emplace_back();
    record.kind = cupti::kConcurrentKernel;
    record.name = plan.kernels[static_cast<std::size_t>(step.kernel)].entry.c_str();
    record.grid[0] = step.grid.x, record.grid[1] = step.grid.y, record.grid[2] = step.grid.z;
    record.start_ns = 1000 * records.size();
    record.end_ns = record.start_ns + 1000;
    record.correlation_id = 5;
    record.graph_node_id = records.size();
  }
  return records;
}

TEST(Recording, KeepsTheTracedReplaysAlone) {
  const Plan plan = two_tower::make_plan();
  const std::vector<cupti::KernelActivity> records = activities(plan);
  FakeDevice device;
  device.mutable_info().can_measure = true;
  // At each replay, so that replays that only warm up have records too.
  device.define("add", [&](const Launch&) { fake_cupti_deliver(records.data(), records.size(), 216, 0); });
  KernelTrace trace(CuptiLibrary::open_file(DUET_FAKE_CUPTI));
  trace.start();
  const MapWeights weights = two_tower::make_weights();
  Engine engine(device, plan, weights);
  engine.set_input("pixels", HostTensor::from_floats({two_tower::kRows, two_tower::kColumns},
                                                     std::vector<float>(two_tower::kRows * two_tower::kColumns)));
  engine.input_address("ids");

  const Recording recording = record_replays(engine, trace, 1);

  EXPECT_FALSE(recording.untraced_us.empty());
  const StepMatch match = match_steps(recording.kernels.records, plan);
  ASSERT_EQ(match.replays.size(), 1U);
  EXPECT_EQ(match.incomplete_replays, 0);
  EXPECT_DOUBLE_EQ(match.replays[0].span_us(), 3);
}

}  // namespace
}  // namespace duet
