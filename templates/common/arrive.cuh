// Between blocks, the last one finishes: who that is.
#pragma once

#include "templates/device/intrinsics.cuh"

namespace duet {

// True in every thread of the last of `blocks` blocks to arrive at the counter, which it leaves at zero for the next
// launch. What the other blocks stored before is visible to it: the barrier puts every thread's stores before the
// addition of thread 0, which releases them (PTX: causality order is transitive over barriers). `flag`: 4 bytes of
// shared memory; `sync`: a barrier among the threads that call this.
template <class Sync>
DUET_DEVICE bool arrive_last(u32* counter, int blocks, SmemAddr flag, Sync sync) {
  sync();
  if (thread_index() == 0) {
    const u32 before = counter_add(counter, 1);
    const bool last = before + 1 == static_cast<u32>(blocks);
    if (last) st_global_u32(counter, 0);  // nobody else of this launch looks at it again
    st_shared_u32(flag, last ? 1 : 0);
  }
  sync();
  return ld_shared_u32(flag) != 0;
}

}  // namespace duet
