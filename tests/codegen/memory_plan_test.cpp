#include "codegen/memory_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/error.h"
#include "codegen/graph_yaml.h"
#include "codegen/step_schedule.h"

namespace duet {
namespace {

bool share_bytes(const ArenaPlan& plan, const std::vector<ArenaRequest>& requests, std::size_t a, std::size_t b) {
  return plan.offsets[a] < plan.offsets[b] + requests[b].bytes && plan.offsets[b] < plan.offsets[a] + requests[a].bytes;
}

// By definition, step by step, without the planner's help: a path of stream order and waits from one to the other.
bool runs_before(const StepOrder& order, int a, int b) {
  if (a >= b) return false;
  for (int step = b - 1; step >= 0; --step) {
    const auto& waits = order.waits[static_cast<std::size_t>(b)];
    const bool direct = order.stream[static_cast<std::size_t>(step)] == order.stream[static_cast<std::size_t>(b)] ||
                        std::find(waits.begin(), waits.end(), step) != waits.end();
    if (direct && (step == a || runs_before(order, a, step))) return true;
  }
  return false;
}

StepOrder random_order(std::mt19937& random, int steps) {
  StepOrder order;
  order.stream_count = std::uniform_int_distribution(1, 3)(random);
  for (int step = 0; step < steps; ++step) {
    order.stream.push_back(std::uniform_int_distribution(0, order.stream_count - 1)(random));
    order.waits.emplace_back();
    if (step > 0 && random() % 3 == 0) order.waits.back().push_back(std::uniform_int_distribution(0, step - 1)(random));
  }
  return order;
}

std::vector<ArenaRequest> random_requests(std::mt19937& random, int steps) {
  std::vector<ArenaRequest> requests(random() % 12);
  for (ArenaRequest& request : requests) {
    request.bytes = static_cast<std::int64_t>(random() % 5000);
    for (std::size_t i = 0; i < 1 + random() % 3; ++i)
      request.steps.push_back(static_cast<int>(random() % static_cast<unsigned>(steps)));
  }
  return requests;
}

bool may_share(const StepOrder& order, const ArenaRequest& a, const ArenaRequest& b) {
  const auto all_before = [&](const ArenaRequest& x, const ArenaRequest& y) {
    for (const int i : x.steps)
      for (const int j : y.steps)
        if (!runs_before(order, i, j)) return false;
    return true;
  };
  return all_before(a, b) || all_before(b, a);
}

TEST(MemoryPlan, NeverLetsLiveBuffersOverlap) {
  std::mt19937 random(7);
  int shared_pairs = 0, apart_pairs = 0;
  for (int round = 0; round < 500; ++round) {
    SCOPED_TRACE(round);
    const int steps = 1 + static_cast<int>(random() % 12);
    const StepOrder order = random_order(random, steps);
    const std::vector<ArenaRequest> requests = random_requests(random, steps);
    const ArenaPlan plan = plan_arena(requests, order);
    ASSERT_EQ(plan.offsets.size(), requests.size());
    for (std::size_t i = 0; i < requests.size(); ++i) {
      EXPECT_EQ(plan.offsets[i] % 256, 0);
      EXPECT_LE(plan.offsets[i] + requests[i].bytes, plan.bytes);
      for (std::size_t j = 0; j < i; ++j) {
        const bool share = share_bytes(plan, requests, i, j);
        ++(share ? shared_pairs : apart_pairs);
        EXPECT_TRUE(!share || may_share(order, requests[i], requests[j])) << i << " " << j;
      }
    }
    EXPECT_GE(plan.bytes, plan.peak_live_bytes);
  }
  // The cases are worth something: many pairs share bytes, many must not.
  EXPECT_GT(shared_pairs, 500);
  EXPECT_GT(apart_pairs, 500);
}

TEST(MemoryPlan, ReusesWhatIsDead) {
  // A chain of ten buffers, each live for two steps: two at a time are needed.
  StepOrder order{.stream_count = 1, .stream = std::vector<int>(11), .waits = std::vector<std::vector<int>>(11)};
  std::vector<ArenaRequest> requests;
  for (int i = 0; i < 10; ++i) requests.push_back({.bytes = 1024, .steps = {i, i + 1}});
  const ArenaPlan plan = plan_arena(requests, order);
  EXPECT_EQ(plan.bytes, 2048);
  EXPECT_EQ(plan.peak_live_bytes, 2048);
}

TEST(MemoryPlan, KeepsConcurrentTowersApart) {
  // Two streams that never wait for each other: nothing may be shared between them.
  StepOrder order{.stream_count = 2, .stream = {0, 0, 1, 1}, .waits = std::vector<std::vector<int>>(4)};
  const std::vector<ArenaRequest> requests = {{.bytes = 512, .steps = {0}}, {.bytes = 512, .steps = {2}}};
  EXPECT_EQ(plan_arena(requests, order).bytes, 1024);
  order.waits[2] = {0};
  EXPECT_EQ(plan_arena(requests, order).bytes, 512);
}

TEST(MemoryPlan, RefusesAnOrderThatIsNone) {
  const StepOrder later{.stream_count = 1, .stream = {0, 0}, .waits = {{1}, {}}};
  EXPECT_THROW(later.reachability(), Error);
  const StepOrder stream{.stream_count = 1, .stream = {1}, .waits = {{}}};
  EXPECT_THROW(stream.reachability(), Error);
  const StepOrder order{.stream_count = 1, .stream = {0}, .waits = {{}}};
  const std::vector<ArenaRequest> outside = {{.bytes = 1, .steps = {1}}};
  EXPECT_THROW(plan_arena(outside, order), Error);
}

// ---- schedules

struct Scheduled {
  Graph graph;
  Lowering lowering;
};
Scheduled clip() {
  Graph graph = load_graph(std::string(DUET_SOURCE_DIR) + "/graphs/clip-vit-b32.yaml", {.batch = 1});
  Lowering lowering = lower(graph, fuse(graph, {}));
  return {std::move(graph), std::move(lowering)};
}

// Every reader of a value starts after its writer has finished.
void expect_dependencies(const Lowering& lowering, const StepOrder& order) {
  const auto before = order.reachability();
  for (std::size_t writer = 0; writer < lowering.groups.size(); ++writer)
    for (const ValueId value : lowering.groups[writer].group.outputs)
      for (std::size_t reader = 0; reader < lowering.groups.size(); ++reader) {
        const std::vector<ValueId>& inputs = lowering.groups[reader].group.inputs;
        const bool reads = std::find(inputs.begin(), inputs.end(), value) != inputs.end();
        EXPECT_TRUE(!reads || before[writer][reader]) << lowering.groups[reader].group.name;
      }
}

TEST(StepSchedule, RunsOneTowerAStreamAndJoinsOnce) {
  const Scheduled scheduled = clip();
  const StepOrder order = schedule_streams(scheduled.lowering);
  expect_dependencies(scheduled.lowering, order);
  EXPECT_EQ(order.stream_count, 2);
  std::size_t waits = 0;
  for (std::size_t step = 0; step < order.waits.size(); ++step) waits += order.waits[step].size();
  EXPECT_EQ(waits, 1u);  // the similarity waits for the other tower; all else follows from stream order
  for (std::size_t step = 0; step < order.stream.size(); ++step)
    EXPECT_EQ(order.stream[step], scheduled.lowering.groups[step].group.tower == "text" ? 1 : 0);
}

TEST(StepSchedule, RunsEverythingInOrder) {
  const Scheduled scheduled = clip();
  const StepOrder order = schedule_sequential(scheduled.lowering);
  expect_dependencies(scheduled.lowering, order);
  EXPECT_EQ(order.stream_count, 1);
}

}  // namespace
}  // namespace duet
