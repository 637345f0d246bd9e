#include "emulator/fault.h"

#include <fmt/format.h>

namespace duet::emulator {
namespace {

bool has_address(FaultKind kind) {
  return kind >= FaultKind::race_read_after_write && kind <= FaultKind::misaligned_global;
}

}  // namespace

const char* describe(FaultKind kind) {
  switch (kind) {
    case FaultKind::none:
      return "no fault";
    case FaultKind::race_read_after_write:
      return "race: read after another warp's write without a barrier between";
    case FaultKind::race_write_after_read:
      return "race: write after another warp's read without a barrier between";
    case FaultKind::race_write_after_write:
      return "race: write after another warp's write without a barrier between";
    case FaultKind::read_unwritten:
      return "read of unwritten shared memory";
    case FaultKind::read_in_flight:
      return "read of shared memory whose cp.async has not been waited for";
    case FaultKind::write_in_flight:
      return "write to shared memory whose cp.async has not been waited for";
    case FaultKind::out_of_bounds_shared:
      return "shared memory access out of bounds";
    case FaultKind::misaligned_shared:
      return "misaligned shared memory access";
    case FaultKind::misaligned_global:
      return "misaligned global memory access";
    case FaultKind::deadlock:
      return "deadlock";
    case FaultKind::divergent_warp:
      return "warp function called by some lanes only";
    case FaultKind::bad_barrier:
      return "invalid barrier";
    case FaultKind::stack_overflow:
      return "thread stack overflow in the emulator";
    case FaultKind::bad_launch:
      return "invalid launch";
    case FaultKind::sanitizer:
      return "memory error found by AddressSanitizer";
    case FaultKind::crash:
      return "crash of the emulator worker";
    case FaultKind::hang:
      return "hang: the deadline passed";
    case FaultKind::load_failed:
      return "the compiled kernel did not load";
  }
  return "unknown fault";
}

std::string to_string(const Fault& fault) {
  std::string text = describe(fault.kind);
  if (has_address(fault.kind)) text += fmt::format(" at byte {:#x}", fault.address);
  if (fault.thread >= 0) text += fmt::format(", thread {} (warp {})", fault.thread, fault.warp);
  if (fault.block[0] >= 0) {
    text += fmt::format(", block ({}, {}, {})", fault.block[0], fault.block[1], fault.block[2]);
  }
  if (!fault.detail.empty()) text += ": " + fault.detail;
  return text;
}

}  // namespace duet::emulator
