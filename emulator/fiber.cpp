#include "emulator/fiber.h"

#include <sys/mman.h>

#include <boost/context/detail/fcontext.hpp>
#include <cstdint>
#include <cstring>
#include <new>

#include "emulator/sanitizer.h"

namespace duet::emulator {
namespace context = boost::context::detail;
namespace {

constexpr std::size_t kStacksPerSlab = 64;
constexpr std::size_t kGuardBytes = 4096;
// Each guard costs two mappings, of which a process may have about 65,000. Beyond these, the canary alone must do.
constexpr std::size_t kGuardedSlabs = 128;
constexpr std::uint64_t kCanary = 0x5afe57ac5afe57acULL;

void announce_switch([[maybe_unused]] void** fake_stack, [[maybe_unused]] const void* bottom,
                     [[maybe_unused]] std::size_t bytes) {
#if defined(DUET_EMULATOR_ASAN)
  __sanitizer_start_switch_fiber(fake_stack, bottom, bytes);
#endif
}

void complete_switch([[maybe_unused]] void* fake_stack, [[maybe_unused]] const void** old_bottom,
                     [[maybe_unused]] std::size_t* old_bytes) {
#if defined(DUET_EMULATOR_ASAN)
  __sanitizer_finish_switch_fiber(fake_stack, old_bottom, old_bytes);
#endif
}

// Frames that never returned leave their redzones poisoned.
void unpoison([[maybe_unused]] std::byte* stack) {
#if defined(DUET_EMULATOR_ASAN)
  __asan_unpoison_memory_region(stack, kStackBytes);
#endif
}

}  // namespace

StackPool::~StackPool() {
  for (std::byte* slab : slabs_) munmap(slab, kStacksPerSlab * kStackBytes);
}

std::byte* StackPool::take() {
  if (free_.empty()) grow();
  std::byte* stack = free_.back();
  free_.pop_back();
  return stack;
}

void StackPool::grow() {
  void* memory = mmap(nullptr, kStacksPerSlab * kStackBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  slabs_.push_back(static_cast<std::byte*>(memory));
  for (std::size_t i = kStacksPerSlab; i-- > 0;) {
    std::byte* stack = slabs_.back() + i * kStackBytes;
    if (slabs_.size() <= kGuardedSlabs) mprotect(stack, kGuardBytes, PROT_NONE);
    free_.push_back(stack);
  }
}

struct Fiber::Entry {
  DUET_NO_SANITIZE static void run(context::transfer_t transfer) {
    Fiber* fiber = static_cast<Fiber*>(transfer.data);
    fiber->scheduler_ = transfer.fctx;
    complete_switch(nullptr, &fiber->scheduler_bottom_, &fiber->scheduler_bytes_);
    fiber->body_(fiber->argument_);
    fiber->finished_ = true;
    announce_switch(nullptr, fiber->scheduler_bottom_, fiber->scheduler_bytes_);
    context::jump_fcontext(fiber->scheduler_, nullptr);
  }
};

void Fiber::start(std::byte* stack, Body body, void* argument) {
  unpoison(stack);
  std::memcpy(stack + kGuardBytes, &kCanary, sizeof kCanary);
  stack_ = stack;
  body_ = body;
  argument_ = argument;
  finished_ = false;
  fake_stack_ = nullptr;
  context_ = context::make_fcontext(stack + kStackBytes, kStackBytes, &Entry::run);
}

DUET_NO_SANITIZE void Fiber::resume() {
  announce_switch(&scheduler_fake_stack_, stack_, kStackBytes);
  const context::transfer_t transfer = context::jump_fcontext(context_, this);
  context_ = transfer.fctx;
  complete_switch(scheduler_fake_stack_, nullptr, nullptr);
}

DUET_NO_SANITIZE void Fiber::suspend() {
  announce_switch(&fake_stack_, scheduler_bottom_, scheduler_bytes_);
  const context::transfer_t transfer = context::jump_fcontext(scheduler_, nullptr);
  scheduler_ = transfer.fctx;
  complete_switch(fake_stack_, nullptr, nullptr);
}

DUET_NO_SANITIZE bool Fiber::stack_intact() const {
  return std::memcmp(stack_ + kGuardBytes, &kCanary, sizeof kCanary) == 0;
}

}  // namespace duet::emulator
