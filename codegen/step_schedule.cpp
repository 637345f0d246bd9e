#include "codegen/step_schedule.h"

#include <algorithm>
#include <map>
#include <set>

namespace duet {
namespace {

// By group: the groups that make what it reads, ascending and each once.
std::vector<std::vector<int>> find_producers(const Lowering& lowering) {
  std::map<ValueId, int> maker;
  std::vector<std::vector<int>> producers;
  for (std::size_t i = 0; i < lowering.groups.size(); ++i) {
    const FusedGroup& group = lowering.groups[i].group;
    std::set<int> found;
    for (const ValueId input : group.inputs)
      if (const auto made = maker.find(input); made != maker.end()) found.insert(made->second);
    producers.emplace_back(found.begin(), found.end());
    for (const ValueId output : group.outputs) maker[output] = static_cast<int>(i);
  }
  return producers;
}

// One stream per tower in order of appearance, from `first` on; what is joint runs on stream 0.
std::vector<int> assign_streams(const Lowering& lowering, int first, int& stream_count) {
  std::map<std::string, int> stream_of;
  std::vector<int> streams;
  for (const LoweredGroup& lowered : lowering.groups) {
    const std::string& tower = lowered.group.tower;
    if (tower == "joint") {
      streams.push_back(0);
      continue;
    }
    streams.push_back(stream_of.emplace(tower, first + static_cast<int>(stream_of.size())).first->second);
  }
  stream_count = std::max(1, first + static_cast<int>(stream_of.size()));
  return streams;
}

// Adds the waits that stream order and earlier waits do not imply. `finished[s]` holds, for each step, the steps known
// to be over when it starts. Later producers are tried first: they tend to imply earlier ones.
void reduce_waits(StepOrder& order, const std::vector<std::vector<int>>& producers) {
  const std::size_t count = order.stream.size();
  std::vector<std::vector<bool>> finished(count, std::vector<bool>(count));
  std::vector<int> last_on_stream(static_cast<std::size_t>(order.stream_count), -1);
  for (std::size_t step = 0; step < count; ++step) {
    const auto know = [&](int earlier) {
      const std::vector<bool>& theirs = finished[static_cast<std::size_t>(earlier)];
      for (std::size_t other = 0; other < step; ++other) finished[step][other] = finished[step][other] || theirs[other];
      finished[step][static_cast<std::size_t>(earlier)] = true;
    };
    int& previous = last_on_stream[static_cast<std::size_t>(order.stream[step])];
    if (previous >= 0) know(previous);
    previous = static_cast<int>(step);
    for (auto producer = producers[step].rbegin(); producer != producers[step].rend(); ++producer) {
      if (finished[step][static_cast<std::size_t>(*producer)]) continue;
      order.waits[step].push_back(*producer);
      know(*producer);
    }
    std::sort(order.waits[step].begin(), order.waits[step].end());
  }
}

StepOrder schedule_from(const Lowering& lowering, int first_stream) {
  StepOrder order;
  order.stream = assign_streams(lowering, first_stream, order.stream_count);
  order.waits.resize(order.stream.size());
  reduce_waits(order, find_producers(lowering));
  return order;
}

}  // namespace

StepOrder schedule_sequential(const Lowering& lowering) {
  const std::size_t count = lowering.groups.size();
  return {.stream_count = 1, .stream = std::vector<int>(count), .waits = std::vector<std::vector<int>>(count)};
}

StepOrder schedule_streams(const Lowering& lowering) { return schedule_from(lowering, 0); }

StepOrder schedule_partition(const Lowering& lowering) { return schedule_from(lowering, 1); }

}  // namespace duet
