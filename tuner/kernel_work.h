// What one block of a candidate does: operations, bytes and dependent steps, by family. Input of the cost model.
#pragma once

#include "codegen/candidate.h"

namespace duet {

struct KernelWork {
  // Of one block.
  double tensor_flops = 0;          // executed by tensor cores, padding included
  double scalar_ops = 0;            // fp32 instructions times lanes
  double load_bytes = 0;            // from L2: an operand read by several blocks counts for each
  double store_bytes = 0;           // to L2
  double smem_read_bytes = 0;       // by the loads of tensor operands
  int iterations = 1;               // loading steps, each depending on a free buffer
  int loads_ahead = 1;              // steps whose loads are in flight together
  double chain_clocks = 0;          // of one iteration: instructions of a warp that wait for each other
  int mma_in_flight = 0;            // independent m16n8k16 products of one warp; 0 without tensor work
  bool warpgroup_products = false;  // at the tensor cores' full rate where mma.sync does not reach it
  // Of the whole launch: blocks that meet at counters and combine partial results.
  double combine_bytes = 0;      // written, then read again by the last to arrive
  int combine_blocks = 1;        // that share one result; 1: none
  int estimated_registers = 64;  // a thread's, when the compiler has not said
};

// The candidate must be feasible.
KernelWork kernel_work(const KernelCandidate& candidate);
// Blocks of the launch.
double block_count(const KernelCandidate& candidate);

}  // namespace duet
