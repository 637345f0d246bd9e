#include "emulator/block.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <utility>

#include "emulator/intrinsics_host.h"
#include "emulator/sanitizer.h"

namespace duet::emulator {

Block* current_block = nullptr;

Block::~Block() {
  for (std::byte* stack : owned_stacks_) stacks_.give_back(stack);
}

// ---- scheduling

void Block::thread_body(void* block) {
  const LaunchRequest& request = static_cast<Block*>(block)->request_;
  request.entry(request.params);
}

void Block::start(const LaunchRequest& request, std::array<int, 3> index) {
  request_ = request;
  index_ = index;
  fault_.reset();
  done_ = counter_waiters_ = 0;
  multiply_adds_ = 0;
  warp_arrived_.fill(0);
  barriers_.fill({});
  async_barriers_.clear();
  random_.seed(request.variant.seed + 7919u * static_cast<std::uint64_t>(index[0] + 131 * index[1] + 17161 * index[2]));
  shared_.reset(static_cast<std::uint32_t>(request.smem_bytes), request.threads / kWarpLanes, request.variant.poison);
  const auto count = static_cast<std::size_t>(request.threads);
  threads_.resize(count);
  while (owned_stacks_.size() < count) owned_stacks_.push_back(stacks_.take());
  for (std::size_t i = 0; i < count; ++i) {
    Thread& thread = threads_[i];
    thread.state = State::ready;
    thread.copies.clear();
    thread.products.clear();
    thread.fiber.start(owned_stacks_[i], &Block::thread_body, this);
  }
  sweep_order_.resize(count);
  std::iota(sweep_order_.begin(), sweep_order_.end(), 0);
  if (request.variant.order == ThreadOrder::reverse) std::reverse(sweep_order_.begin(), sweep_order_.end());
}

BlockStatus Block::run() {
  current_block = this;
  for (int axis = 0; axis < 3; ++axis) {
    duet_emulator_thread.block[axis] = index_[static_cast<std::size_t>(axis)];
    duet_emulator_thread.grid[axis] = request_.grid[static_cast<std::size_t>(axis)];
  }
  for (;;) {
    wake_counter_waiters();
    const bool progressed = sweep();
    if (fault_) return BlockStatus::faulted;
    if (done_ == request_.threads) return BlockStatus::finished;
    if (progressed) continue;
    if (counter_waiters_ > 0) return BlockStatus::waiting;
    fault_ = deadlock();
    return BlockStatus::faulted;
  }
}

bool Block::can_continue() const {
  return std::any_of(threads_.begin(), threads_.end(), [](const Thread& thread) {
    return thread.state == State::at_counter && *thread.counter >= thread.at_least;
  });
}

void Block::wake_counter_waiters() {
  if (counter_waiters_ == 0) return;
  for (Thread& thread : threads_) {
    if (thread.state != State::at_counter || *thread.counter < thread.at_least) continue;
    thread.state = State::ready;
    --counter_waiters_;
  }
}

// Gives every thread that can run a turn, in the variant's order. Returns whether any ran.
bool Block::sweep() {
  switch (request_.variant.order) {
    case ThreadOrder::warp_ahead_forward:
      return sweep_warps(false);
    case ThreadOrder::warp_ahead_backward:
      return sweep_warps(true);
    case ThreadOrder::random:
      std::shuffle(sweep_order_.begin(), sweep_order_.end(), random_);
      break;
    case ThreadOrder::in_order:
    case ThreadOrder::reverse:
      break;
  }
  return sweep_threads();
}

bool Block::sweep_threads() {
  bool ran = false;
  for (const int index : sweep_order_) {
    if (threads_[static_cast<std::size_t>(index)].state != State::ready) continue;
    resume(index);
    ran = true;
    if (fault_) break;
  }
  return ran;
}

// The preferred warp goes first again whenever it can run at all.
bool Block::sweep_warps(bool backward) {
  const int warps = request_.threads / kWarpLanes;
  bool ran = false;
  for (int i = 0; i < warps; ++i) {
    if (!run_warp(backward ? warps - 1 - i : i, backward)) continue;
    ran = true;
    if (fault_) break;
  }
  return ran;
}

bool Block::run_warp(int warp, bool backward) {
  bool ran = false;
  for (bool again = true; again;) {
    again = false;
    for (int lane = 0; lane < kWarpLanes; ++lane) {
      const int index = warp * kWarpLanes + (backward ? kWarpLanes - 1 - lane : lane);
      if (threads_[static_cast<std::size_t>(index)].state != State::ready) continue;
      resume(index);
      again = ran = true;
      if (fault_) return ran;
    }
  }
  return ran;
}

DUET_NO_SANITIZE void Block::resume(int index) {
  duet_emulator_thread.thread = index;
  Thread& thread = threads_[static_cast<std::size_t>(index)];
  thread.fiber.resume();
  if (!thread.fiber.finished()) return;
  if (!thread.fiber.stack_intact() && !fault_) {
    fault_ = Fault{
        .kind = FaultKind::stack_overflow, .thread = index, .warp = index / kWarpLanes, .block = index_, .detail = {}};
  }
  thread.state = State::done;
  ++done_;
}

std::string Block::describe_waiting() const {
  int at_warp = 0, at_counter = 0, at_async_barrier = 0;
  std::array<int, kBarriers> at_barrier{};
  for (const Thread& thread : threads_) {
    if (thread.state == State::at_warp) ++at_warp;
    if (thread.state == State::at_counter) ++at_counter;
    if (thread.state == State::at_async_barrier) ++at_async_barrier;
    if (thread.state == State::at_barrier) ++at_barrier[static_cast<std::size_t>(thread.barrier_id)];
  }
  std::string text = fmt::format("of {} threads {} have finished", request_.threads, done_);
  for (std::size_t id = 0; id < kBarriers; ++id) {
    if (at_barrier[id] == 0) continue;
    text += fmt::format(", {} wait at barrier {} for {}", at_barrier[id], id, barriers_[id].expected);
  }
  if (at_async_barrier > 0) text += fmt::format(", {} wait at barriers in shared memory", at_async_barrier);
  if (at_warp > 0) text += fmt::format(", {} wait for the other lanes of their warp", at_warp);
  if (at_counter > 0) text += fmt::format(", {} wait for a counter that no block raises", at_counter);
  return text;
}

Fault Block::deadlock() const {
  const auto waits = [](const Thread& thread) { return thread.state != State::done; };
  const int index = static_cast<int>(std::find_if(threads_.begin(), threads_.end(), waits) - threads_.begin());
  return {.kind = FaultKind::deadlock,
          .thread = index,
          .warp = index / kWarpLanes,
          .block = index_,
          .detail = describe_waiting()};
}

// ---- on the fiber of the running thread

void Block::raise(FaultKind kind, std::uint64_t address, std::string detail) {
  fault_ = Fault{.kind = kind,
                 .address = address,
                 .thread = current_index(),
                 .warp = current_warp(),
                 .block = index_,
                 .detail = std::move(detail)};
  current().fiber.suspend();  // for good: the scheduler stops at a fault
  std::abort();
}

void Block::raise_shared(FaultKind fault, std::uint32_t addr) {
  std::string detail;
  switch (fault) {
    case FaultKind::race_read_after_write:
    case FaultKind::race_write_after_read:
    case FaultKind::race_write_after_write:
    case FaultKind::write_in_flight:
      detail = fmt::format("the other is warp {}", shared_.conflicting_warp());
      break;
    case FaultKind::out_of_bounds_shared:
      detail = fmt::format("the block has {} bytes", shared_.size());
      break;
    default:
      break;
  }
  // Below the base the offset is negative: show it wrapped to 32 bits.
  raise(fault, static_cast<std::uint32_t>(addr - kSmemBase), std::move(detail));
}

void Block::shared_load(std::uint32_t addr, std::uint32_t bytes, void* destination) {
  check(shared_.read(addr, bytes, current_warp()), addr);
  std::memcpy(destination, shared_.at(addr), bytes);
}

void Block::shared_store(std::uint32_t addr, std::uint32_t bytes, const void* source) {
  check(shared_.write(addr, bytes, current_warp()), addr);
  std::memcpy(shared_.at(addr), source, bytes);
}

void Block::land(const Copy& copy) {
  if (copy.source == nullptr) {
    std::memset(shared_.at(copy.destination), 0, copy.bytes);
  } else {
    std::memcpy(shared_.at(copy.destination), copy.source, copy.bytes);
  }
}

void Block::issue_copy(const Copy& copy) {
  check(shared_.begin_copy(copy.destination, copy.bytes, current_warp()), copy.destination);
  if (request_.variant.landing == CopyLanding::at_issue) land(copy);
  current().copies.issue(copy);
}

void Block::commit_copies() { current().copies.commit(); }

void Block::wait_copies(std::size_t pending_groups) {
  current().copies.wait(pending_groups, [this](const Copy& copy) {
    if (request_.variant.landing == CopyLanding::at_wait) land(copy);
    shared_.land_copy(copy.destination, copy.bytes, current_warp());
  });
}

void Block::require_same_call(int warp) {
  const Thread* lanes = &threads_[static_cast<std::size_t>(warp * kWarpLanes)];
  for (int lane = 1; lane < kWarpLanes; ++lane) {
    if (lanes[lane].call == lanes[0].call && lanes[lane].call_shape == lanes[0].call_shape) continue;
    raise(FaultKind::divergent_warp, 0, fmt::format("lanes 0 and {} meet in different functions", lane));
  }
}

template <typename Complete>
void Block::meet_warp(WarpCall call, std::uint32_t shape, Complete complete) {
  const int warp = current_warp();
  Thread& self = current();
  self.call = call;
  self.call_shape = shape;
  int& arrived = warp_arrived_[static_cast<std::size_t>(warp)];
  if (++arrived < kWarpLanes) {
    self.state = State::at_warp;
    self.fiber.suspend();
    return;
  }
  arrived = 0;
  require_same_call(warp);
  Thread* lanes = &threads_[static_cast<std::size_t>(warp * kWarpLanes)];
  complete(lanes);
  for (int lane = 0; lane < kWarpLanes; ++lane) lanes[lane].state = State::ready;
}

void Block::ldmatrix(std::uint32_t* registers, std::uint32_t row, bool transposed) {
  check(shared_.read(row, 16, current_warp()), row);
  Thread& self = current();
  self.row = shared_.at(row);
  self.registers = registers;
  meet_warp(WarpCall::ldmatrix, transposed ? 1 : 0, [transposed](const Thread* lanes) {
    const std::byte* rows[kWarpLanes];
    std::uint32_t* destinations[kWarpLanes];
    for (int lane = 0; lane < kWarpLanes; ++lane) {
      rows[lane] = lanes[lane].row;
      destinations[lane] = lanes[lane].registers;
    }
    ldmatrix_warp(rows, destinations, transposed);
  });
}

void Block::sync_warp() {
  meet_warp(WarpCall::sync, 0, [](const Thread*) {});
}

std::uint32_t Block::shuffle(std::uint32_t value, int lane) {
  Thread& self = current();
  self.value = value;
  self.source_lane = lane;
  meet_warp(WarpCall::shuffle, 0, [](Thread* lanes) {
    std::uint32_t values[kWarpLanes];
    for (int i = 0; i < kWarpLanes; ++i) values[i] = lanes[i].value;
    for (int i = 0; i < kWarpLanes; ++i) lanes[i].value = values[lanes[i].source_lane];
  });
  return self.value;
}

void Block::mma(bool bf16, int tiles_m, int tiles_n, const MmaOperands& operands) {
  current().mma = operands;
  if (tiles_n > kMaxMmaTilesN)
    raise(FaultKind::bad_launch, 0, fmt::format("mma_tile with {} columns of tiles", tiles_n));
  const std::uint32_t shape = (bf16 ? 1u << 31 : 0u) | static_cast<std::uint32_t>(tiles_m << 8 | tiles_n);
  meet_warp(WarpCall::mma, shape, [&](const Thread* lanes) {
    MmaOperands all[kWarpLanes];
    for (int lane = 0; lane < kWarpLanes; ++lane) all[lane] = lanes[lane].mma;
    mma_warp(bf16, tiles_m, tiles_n, all);
    multiply_adds_ += 2048ull * static_cast<std::uint64_t>(tiles_m * tiles_n);
  });
}

void Block::barrier(int id, int threads) {
  const int expected = threads == 0 ? request_.threads : threads;
  if (id < 0 || id >= kBarriers || expected < kWarpLanes || expected > request_.threads || expected % kWarpLanes != 0) {
    raise(FaultKind::bad_barrier, 0, fmt::format("barrier {} for {} threads of {}", id, expected, request_.threads));
  }
  Barrier& barrier = barriers_[static_cast<std::size_t>(id)];
  if (barrier.arrived > 0 && barrier.expected != expected) {
    raise(FaultKind::bad_barrier, 0,
          fmt::format("barrier {} expects {} threads and now {}", id, barrier.expected, expected));
  }
  barrier.expected = expected;
  barrier.warps |= 1u << current_warp();
  Thread& self = current();
  self.barrier_id = id;
  self.state = State::at_barrier;
  if (++barrier.arrived < expected) {
    self.fiber.suspend();
  } else {
    complete_barrier(id);
  }
}

void Block::complete_barrier(int id) {
  Barrier& barrier = barriers_[static_cast<std::size_t>(id)];
  if (std::popcount(barrier.warps) * kWarpLanes != barrier.expected) {
    raise(FaultKind::bad_barrier, 0,
          fmt::format("{} threads of {} warps met at barrier {}", barrier.expected, std::popcount(barrier.warps), id));
  }
  shared_.barrier(barrier.warps);
  for (Thread& thread : threads_) {
    if (thread.state == State::at_barrier && thread.barrier_id == id) thread.state = State::ready;
  }
  barrier = {};
}

void Block::wait_counter(const std::uint32_t* counter, std::uint32_t at_least) {
  Thread& self = current();
  self.counter = counter;
  self.at_least = at_least;
  self.state = State::at_counter;
  ++counter_waiters_;
  self.fiber.suspend();
}

}  // namespace duet::emulator
