// One CUDA thread as a fiber: a stack and a saved context that the scheduler switches to and that switches back.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace duet::emulator {

// Large enough for the registers of a kernel kept in memory and AddressSanitizer's redzones around them.
inline constexpr std::size_t kStackBytes = 128 * 1024;

// Stacks for fibers, kept for reuse. Memory is touched only as far as a fiber's calls reach.
class StackPool {
 public:
  StackPool() = default;
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;
  ~StackPool();

  // The lowest address of a stack of kStackBytes. Throws std::bad_alloc when no address space is left.
  std::byte* take();
  void give_back(std::byte* stack) { free_.push_back(stack); }

 private:
  void grow();

  std::vector<std::byte*> slabs_;
  std::vector<std::byte*> free_;
};

class Fiber {
 public:
  using Body = void (*)(void* argument);

  // Prepares to run body(argument) on the stack; a fiber abandoned there before is forgotten.
  void start(std::byte* stack, Body body, void* argument);

  // On the scheduler's stack: runs the fiber until it suspends or its body returns.
  void resume();
  // On the fiber's stack: returns to the scheduler.
  void suspend();

  bool finished() const { return finished_; }
  // False once the deepest call has come too close to the end of the stack.
  bool stack_intact() const;

 private:
  struct Entry;

  void* context_ = nullptr;
  void* scheduler_ = nullptr;
  std::byte* stack_ = nullptr;
  Body body_ = nullptr;
  void* argument_ = nullptr;
  bool finished_ = false;
  // AddressSanitizer's fake stacks, and the bounds of the scheduler's stack.
  void* fake_stack_ = nullptr;
  void* scheduler_fake_stack_ = nullptr;
  const void* scheduler_bottom_ = nullptr;
  std::size_t scheduler_bytes_ = 0;
};

}  // namespace duet::emulator
