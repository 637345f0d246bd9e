#include "codegen/memory_plan.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace duet {
namespace {

constexpr std::int64_t kAlignment = 256;  // as the driver aligns allocations

std::int64_t aligned(std::int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

using Matrix = std::vector<std::vector<bool>>;

// a is dead before b is written: every step of a has finished when any step of b starts.
bool ends_before(const ArenaRequest& a, const ArenaRequest& b, const Matrix& before) {
  for (const int last : a.steps)
    for (const int first : b.steps)
      if (!before[static_cast<std::size_t>(last)][static_cast<std::size_t>(first)]) return false;
  return true;
}

Matrix find_conflicts(std::span<const ArenaRequest> requests, const Matrix& before) {
  Matrix conflicts(requests.size(), std::vector<bool>(requests.size()));
  for (std::size_t i = 0; i < requests.size(); ++i) {
    for (std::size_t j = i + 1; j < requests.size(); ++j) {
      if (requests[i].bytes == 0 || requests[j].bytes == 0) continue;
      const bool apart = ends_before(requests[i], requests[j], before) || ends_before(requests[j], requests[i], before);
      conflicts[i][j] = conflicts[j][i] = !apart;
    }
  }
  return conflicts;
}

struct Block {
  std::int64_t begin = 0, end = 0;
};

// The smallest gap between the taken blocks that holds `bytes`, else the end of the last one.
std::int64_t best_fit(std::vector<Block> taken, std::int64_t bytes) {
  std::sort(taken.begin(), taken.end(), [](const Block& a, const Block& b) { return a.begin < b.begin; });
  std::int64_t best = -1;
  std::int64_t best_gap = std::numeric_limits<std::int64_t>::max();
  std::int64_t free_from = 0;
  for (const Block& block : taken) {
    const std::int64_t gap = block.begin - free_from;
    if (gap >= bytes && gap < best_gap) {
      best_gap = gap;
      best = free_from;
    }
    free_from = std::max(free_from, block.end);
  }
  return best >= 0 ? best : free_from;
}

// Bytes live at each step, were the steps run one after the other: the most of them bounds every placement from below.
std::int64_t peak_live(std::span<const ArenaRequest> requests, std::size_t step_count) {
  std::vector<std::int64_t> change(step_count + 1);
  for (const ArenaRequest& request : requests) {
    if (request.steps.empty()) continue;
    const auto [first, last] = std::minmax_element(request.steps.begin(), request.steps.end());
    change[static_cast<std::size_t>(*first)] += aligned(request.bytes);
    change[static_cast<std::size_t>(*last) + 1] -= aligned(request.bytes);
  }
  std::int64_t live = 0, peak = 0;
  for (const std::int64_t delta : change) peak = std::max(peak, live += delta);
  return peak;
}

void check_requests(std::span<const ArenaRequest> requests, const StepOrder& order) {
  for (const ArenaRequest& request : requests) {
    if (request.bytes < 0) fail(ErrorKind::internal, "an arena request of {} bytes", request.bytes);
    for (const int step : request.steps)
      if (step < 0 || static_cast<std::size_t>(step) >= order.stream.size())
        fail(ErrorKind::internal, "an arena request names step {} of {}", step, order.stream.size());
  }
}

}  // namespace

// Steps are numbered in an order that respects every wait, so that one pass forward completes each row's predecessors.
std::vector<std::vector<bool>> StepOrder::reachability() const {
  const std::size_t count = stream.size();
  if (waits.size() != count) fail(ErrorKind::internal, "{} steps with the waits of {}", count, waits.size());
  Matrix before(count, std::vector<bool>(count));
  std::vector<int> last_on_stream(static_cast<std::size_t>(std::max(stream_count, 0)), -1);
  for (std::size_t step = 0; step < count; ++step) {
    const auto inherit = [&](int earlier) {
      if (earlier < 0 || static_cast<std::size_t>(earlier) >= step)
        fail(ErrorKind::internal, "step {} waits for step {}, which does not come before it", step, earlier);
      for (std::size_t other = 0; other < step; ++other)
        if (before[other][static_cast<std::size_t>(earlier)]) before[other][step] = true;
      before[static_cast<std::size_t>(earlier)][step] = true;
    };
    if (stream[step] < 0 || stream[step] >= stream_count)
      fail(ErrorKind::internal, "step {} runs on stream {} of {}", step, stream[step], stream_count);
    int& previous = last_on_stream[static_cast<std::size_t>(stream[step])];
    if (previous >= 0) inherit(previous);
    for (const int wait : waits[step]) inherit(wait);
    previous = static_cast<int>(step);
  }
  return before;
}

ArenaPlan plan_arena(std::span<const ArenaRequest> requests, const StepOrder& order) {
  check_requests(requests, order);
  const Matrix conflicts = find_conflicts(requests, order.reachability());
  // Large ones first: small ones fill the gaps between them.
  std::vector<std::size_t> by_size(requests.size());
  std::iota(by_size.begin(), by_size.end(), std::size_t{0});
  std::stable_sort(by_size.begin(), by_size.end(),
                   [&](std::size_t a, std::size_t b) { return requests[a].bytes > requests[b].bytes; });
  ArenaPlan plan{.offsets = std::vector<std::int64_t>(requests.size()),
                 .bytes = 0,
                 .peak_live_bytes = peak_live(requests, order.stream.size())};
  std::vector<std::size_t> placed;
  for (const std::size_t request : by_size) {
    std::vector<Block> taken;
    for (const std::size_t other : placed)
      if (conflicts[request][other])
        taken.push_back({plan.offsets[other], plan.offsets[other] + aligned(requests[other].bytes)});
    const std::int64_t bytes = aligned(requests[request].bytes);
    plan.offsets[request] = best_fit(std::move(taken), bytes);
    plan.bytes = std::max(plan.bytes, plan.offsets[request] + bytes);
    placed.push_back(request);
  }
  return plan;
}

}  // namespace duet
