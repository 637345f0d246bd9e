// What a kernel did wrong, as a value: kind, where, by whom.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace duet::emulator {

enum class FaultKind : std::uint8_t {
  none,
  // found by the record of shared memory
  race_read_after_write,
  race_write_after_read,
  race_write_after_write,
  read_unwritten,
  read_in_flight,   // a cp.async that has not been waited for
  write_in_flight,  // overwrites the destination of such a copy
  out_of_bounds_shared,
  misaligned_shared,
  misaligned_global,
  // found by the scheduler
  deadlock,
  divergent_warp,
  bad_barrier,
  stack_overflow,
  bad_launch,
  // found by the parent of a worker process
  sanitizer,  // AddressSanitizer stopped the worker
  crash,
  hang,  // the deadline passed
  load_failed,
};

// For example "read after write without a barrier".
const char* describe(FaultKind kind);

struct Fault {
  FaultKind kind = FaultKind::none;
  std::uint64_t address = 0;  // shared: byte offset from smem_base(); global: the address
  int thread = -1;            // -1: not known
  int warp = -1;
  std::array<int, 3> block{-1, -1, -1};
  std::string detail{};  // what else is known, one line; for `sanitizer` the first lines of its report
};

// One line, for example "race: read after write without a barrier at byte 512, thread 37 (warp 1), block (0, 2, 0)".
std::string to_string(const Fault& fault);

}  // namespace duet::emulator
