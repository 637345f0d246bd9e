#include <algorithm>
#include <map>
#include <random>

#include "emulator/emulator_device.h"

namespace duet::emulator {
namespace {

// For each launch, the earlier ones that must be over: those it waits for and the one before it on its stream.
std::vector<std::vector<std::size_t>> dependencies(std::span<const Launch> launches) {
  std::vector<std::vector<std::size_t>> all(launches.size());
  std::map<int, std::size_t> last_on_stream;
  for (std::size_t i = 0; i < launches.size(); ++i) {
    for (const int wait : launches[i].waits) {
      if (wait < 0 || static_cast<std::size_t>(wait) >= i) {
        fail(ErrorKind::input, "launch {} ('{}') waits for launch {}, which is not an earlier one", i, launches[i].name,
             wait);
      }
      all[i].push_back(static_cast<std::size_t>(wait));
    }
    if (const auto last = last_on_stream.find(launches[i].stream); last != last_on_stream.end()) {
      all[i].push_back(last->second);
    }
    last_on_stream[launches[i].stream] = i;
  }
  return all;
}

}  // namespace

std::vector<std::size_t> execution_order(std::span<const Launch> launches, const RunVariant& variant) {
  const auto needed = dependencies(launches);
  std::map<int, std::vector<std::size_t>> streams;
  for (std::size_t i = 0; i < launches.size(); ++i) streams[launches[i].stream].push_back(i);
  std::map<int, std::size_t> position;  // on each stream
  std::vector<bool> over(launches.size(), false);
  std::mt19937_64 random(variant.seed);
  std::vector<std::size_t> order;
  while (order.size() < launches.size()) {
    std::vector<std::size_t> ready;  // the head of each stream that waits for nothing any more
    for (const auto& [stream, list] : streams) {
      if (position[stream] == list.size()) continue;
      const std::size_t head = list[position[stream]];
      if (std::all_of(needed[head].begin(), needed[head].end(), [&](std::size_t i) { return over[i]; })) {
        ready.push_back(head);
      }
    }
    std::size_t next = *std::min_element(ready.begin(), ready.end());
    if (variant.blocks == BlockOrder::reverse) next = ready.back();
    if (variant.blocks == BlockOrder::random) next = ready[random() % ready.size()];
    over[next] = true;
    ++position[launches[next].stream];
    order.push_back(next);
  }
  return order;
}

}  // namespace duet::emulator
