// All blocks of a launch. They start one after another; a block that waits for a counter stays resident while others
// run, as many as need be, so that semaphores and grid-wide barriers work.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <vector>

#include "emulator/block.h"
#include "emulator/launch.h"

namespace duet::emulator {
namespace {

constexpr std::int64_t kMaxBlocks = std::int64_t{1} << 31;

std::string launch_error(const LaunchRequest& request) {
  if (request.entry == nullptr) return "there is no kernel";
  if (request.threads <= 0 || request.threads > 1024 || request.threads % kWarpLanes != 0) {
    return fmt::format("{} threads a block; whole warps up to 1024 are supported", request.threads);
  }
  if (request.smem_bytes < 0 || request.smem_bytes > 1 << 20) {
    return fmt::format("{} bytes of shared memory", request.smem_bytes);
  }
  const auto& grid = request.grid;
  const bool positive = std::all_of(grid.begin(), grid.end(), [](int size) { return size > 0 && size <= 1 << 20; });
  if (!positive || std::int64_t{grid[0]} * grid[1] * grid[2] >= kMaxBlocks) {
    return fmt::format("a grid of ({}, {}, {})", grid[0], grid[1], grid[2]);
  }
  return {};
}

std::vector<std::int64_t> block_sequence(const LaunchRequest& request) {
  std::vector<std::int64_t> sequence(
      static_cast<std::size_t>(std::int64_t{request.grid[0]} * request.grid[1] * request.grid[2]));
  std::iota(sequence.begin(), sequence.end(), std::int64_t{0});
  if (request.variant.blocks == BlockOrder::reverse) std::reverse(sequence.begin(), sequence.end());
  if (request.variant.blocks == BlockOrder::random) {
    std::shuffle(sequence.begin(), sequence.end(), std::mt19937_64(request.variant.seed));
  }
  return sequence;
}

// Blocks and stacks outlive a launch: allocating them again for each would dominate small kernels.
struct Pool {
  std::mutex mutex;
  StackPool stacks;
  std::vector<std::unique_ptr<Block>> blocks;

  std::unique_ptr<Block> take() {
    if (blocks.empty()) return std::make_unique<Block>(stacks);
    std::unique_ptr<Block> block = std::move(blocks.back());
    blocks.pop_back();
    return block;
  }
};

Pool& pool() {
  static Pool instance;
  return instance;
}

class GridRun {
 public:
  explicit GridRun(const LaunchRequest& request) : request_(request), sequence_(block_sequence(request)) {}

  LaunchOutcome run() {
    while (!outcome_.fault && (next_ < sequence_.size() || !waiting_.empty())) {
      bool progressed = continue_waiting();
      if (!outcome_.fault && next_ < sequence_.size()) {
        start_next();
        progressed = true;
      }
      if (!progressed) outcome_.fault = waiting_.front()->deadlock();
    }
    for (std::unique_ptr<Block>& block : waiting_) pool().blocks.push_back(std::move(block));
    return outcome_;
  }

 private:
  void start_next() {
    const std::int64_t linear = sequence_[next_++];
    const std::int64_t x = request_.grid[0], y = request_.grid[1];
    std::unique_ptr<Block> block = pool().take();
    block->start(request_,
                 {static_cast<int>(linear % x), static_cast<int>(linear / x % y), static_cast<int>(linear / (x * y))});
    if (!advance(*block)) {
      waiting_.push_back(std::move(block));
    } else {
      pool().blocks.push_back(std::move(block));
    }
  }

  // Runs the blocks whose counters have been raised; returns whether there was one.
  bool continue_waiting() {
    bool progressed = false;
    for (std::size_t i = 0; i < waiting_.size() && !outcome_.fault;) {
      if (!waiting_[i]->can_continue()) {
        ++i;
        continue;
      }
      progressed = true;
      if (!advance(*waiting_[i])) {
        ++i;
        continue;
      }
      pool().blocks.push_back(std::move(waiting_[i]));
      waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
    }
    return progressed;
  }

  // Returns whether the block is over, well or not.
  bool advance(Block& block) {
    const BlockStatus status = block.run();
    if (status == BlockStatus::waiting) return false;
    if (status == BlockStatus::faulted) outcome_.fault = block.fault();
    outcome_.stats.blocks += 1;
    outcome_.stats.multiply_adds += block.multiply_adds();
    return true;
  }

  const LaunchRequest& request_;
  const std::vector<std::int64_t> sequence_;
  std::size_t next_ = 0;
  std::vector<std::unique_ptr<Block>> waiting_;
  LaunchOutcome outcome_;
};

}  // namespace

LaunchOutcome run_grid(const LaunchRequest& request) {
  if (std::string error = launch_error(request); !error.empty()) {
    return {.fault = Fault{.kind = FaultKind::bad_launch, .detail = std::move(error)}, .stats = {}};
  }
  const std::lock_guard lock(pool().mutex);
  return GridRun(request).run();
}

LaunchOutcome run_all_variants(LaunchRequest request) {
  LaunchOutcome outcome;
  for (const RunVariant& variant : standard_variants()) {
    request.variant = variant;
    outcome = run_grid(request);
    if (outcome.fault) {
      outcome.fault->detail += (outcome.fault->detail.empty() ? "in " : "; in ") + to_string(variant);
      break;
    }
  }
  return outcome;
}

}  // namespace duet::emulator
