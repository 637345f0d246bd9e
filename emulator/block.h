// One block of a launch: its threads as fibers, its shared memory, its barriers, and the scheduler that decides which
// thread runs next. Threads switch only where they wait for each other.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <vector>

#include "emulator/async_barrier.h"
#include "emulator/fault.h"
#include "emulator/fiber.h"
#include "emulator/group_queue.h"
#include "emulator/intrinsics_host.h"
#include "emulator/launch.h"
#include "emulator/shared_memory.h"
#include "emulator/warp_math.h"

namespace duet::emulator {

enum class BlockStatus : std::uint8_t {
  finished,
  waiting,  // every thread that is left waits, some for a counter that another block must raise
  faulted,
};

class Block {
 public:
  explicit Block(StackPool& stacks) : stacks_(stacks) {}
  ~Block();
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  // Makes this object the block of that index; a run abandoned before is forgotten.
  void start(const LaunchRequest& request, std::array<int, 3> index);
  // Runs its threads until they have finished, or none can go on.
  BlockStatus run();
  // Whether a counter that one of its threads waits for has got there.
  bool can_continue() const;

  const std::optional<Fault>& fault() const { return fault_; }
  // Names what its threads wait for.
  Fault deadlock() const;
  std::uint64_t multiply_adds() const { return multiply_adds_; }

  // What the hooks call, on the fiber of the running thread. A fault does not return.
  void shared_load(std::uint32_t addr, std::uint32_t bytes, void* destination);
  void shared_store(std::uint32_t addr, std::uint32_t bytes, const void* source);
  void issue_copy(const Copy& copy);
  void commit_copies();
  void wait_copies(std::size_t pending_groups);
  void ldmatrix(std::uint32_t* registers, std::uint32_t row, bool transposed);
  void barrier(int id, int threads);
  void sync_warp();
  std::uint32_t shuffle(std::uint32_t value, int lane);
  void mma(bool bf16, int tiles_m, int tiles_n, const MmaOperands& operands);
  void wait_counter(const std::uint32_t* counter, std::uint32_t at_least);
  void init_async_barrier(std::uint32_t addr, int arrivals);
  void arrive_async(std::uint32_t addr, int expected_bytes);
  void wait_async(std::uint32_t addr, std::uint32_t parity);
  void load_tile(std::uint32_t destination, const void* map, int row, int column, std::uint32_t addr);
  void issue_wgmma(const WgmmaOperands& operands);
  void commit_wgmma();
  void wait_wgmma(std::size_t pending_groups);
  [[noreturn]] void raise(FaultKind kind, std::uint64_t address, std::string detail = {});

 private:
  enum class State : std::uint8_t { ready, at_warp, at_barrier, at_async_barrier, at_counter, done };
  enum class WarpCall : std::uint8_t { none, ldmatrix, shuffle, mma, sync };

  struct Thread {
    Fiber fiber;
    State state = State::ready;
    WarpCall call = WarpCall::none;
    std::uint32_t call_shape = 0;  // what else must agree over the warp
    int barrier_id = 0;
    // Operands of the call that waits.
    const std::byte* row = nullptr;
    std::uint32_t* registers = nullptr;
    std::uint32_t value = 0;
    int source_lane = 0;
    MmaOperands mma;
    const std::uint32_t* counter = nullptr;
    std::uint32_t at_least = 0;
    std::uint32_t async_barrier = 0;
    GroupQueue<Copy> copies;
    GroupQueue<WgmmaOperands> products;
  };
  struct Barrier {
    int expected = 0;
    int arrived = 0;
    std::uint32_t warps = 0;
  };

  static constexpr int kBarriers = 16;

  static void thread_body(void* block);
  static int current_index() { return duet_emulator_thread.thread; }
  static int current_warp() { return current_index() / kWarpLanes; }
  Thread& current() { return threads_[static_cast<std::size_t>(current_index())]; }
  void check(FaultKind fault, std::uint32_t addr) {
    if (fault != FaultKind::none) [[unlikely]]
      raise_shared(fault, addr);
  }
  [[noreturn]] void raise_shared(FaultKind fault, std::uint32_t addr);
  // Waits for the other lanes; the last to arrive calls complete(first thread of the warp) and wakes them.
  template <typename Complete>
  void meet_warp(WarpCall call, std::uint32_t shape, Complete complete);
  void require_same_call(int warp);
  void land(const Copy& copy);
  AsyncBarrier& async_barrier(std::uint32_t addr);
  void end_phase_if_complete(std::uint32_t addr, AsyncBarrier& barrier);
  void write_tile(const TileCopy& copy);
  void land_tiles(AsyncBarrier& barrier);
  const std::byte* operand_chunk(std::uint64_t descriptor, int row, int chunk);
  void multiply(const WgmmaOperands& product);
  void complete_barrier(int id);

  bool sweep();
  bool sweep_threads();
  bool sweep_warps(bool backward);
  bool run_warp(int warp, bool backward);
  void resume(int index);
  void wake_counter_waiters();
  std::string describe_waiting() const;

  StackPool& stacks_;
  std::vector<std::byte*> owned_stacks_;
  std::vector<Thread> threads_;
  std::vector<int> sweep_order_;
  std::array<int, kMaxWarps> warp_arrived_{};
  std::array<Barrier, kBarriers> barriers_{};
  std::map<std::uint32_t, AsyncBarrier> async_barriers_;  // by address
  SharedMemory shared_;
  LaunchRequest request_;
  std::array<int, 3> index_{};
  std::mt19937_64 random_;
  std::optional<Fault> fault_;
  int done_ = 0;
  int counter_waiters_ = 0;
  std::uint64_t multiply_adds_ = 0;
};

// The block whose thread runs now; for the hooks.
extern Block* current_block;

}  // namespace duet::emulator
