// What one block of a candidate does: operations, bytes and dependent steps, by family. Input of the cost model.
#pragma once

#include "codegen/candidate.h"

namespace duet {

struct KernelWork {
  // Of one block, the longest where they differ.
  double tensor_flops = 0;          // executed by tensor cores, padding included
  bool warpgroup_products = false;  // at their full rate, which mma.sync does not reach from sm_90 on
  double scalar_ops = 0;            // fp32 instructions times lanes
  double load_bytes = 0;            // from L2: an operand read by several blocks counts for each
  double store_bytes = 0;           // to L2
  double smem_read_bytes = 0;       // by the loads of tensor operands
  int iterations = 1;               // loading steps, each depending on a free buffer
  int loads_ahead = 1;              // steps whose loads are in flight together
  // Clocks of a warp's instructions that wait for each other, over all steps. Set by hand from the templates' loops;
  // a calibration scales each kind (CostFactors).
  double sync_clocks = 0;   // barriers
  double math_clocks = 0;   // products, with the fragments they take from shared memory
  double row_clocks = 0;    // row statistics, softmax
  double copy_clocks = 0;   // copies that threads make, with their addresses
  double block_clocks = 0;  // once a block: before its first step and after its last
  double later_share = 1;   // of this work that the average block has
  // Of the whole launch: blocks that meet at counters and combine partial results.
  double combine_bytes = 0;      // written, then read again by one block of those that share a result
  int combine_blocks = 1;        // that share one result; 1: none
  double combine_sync_us = 0;    // until the one that reads knows that it may
  int estimated_registers = 64;  // a thread's, when the compiler has not said
  int barriers = 1;              // that the compiler reserves for a block
};

// The candidate must be feasible.
KernelWork kernel_work(const KernelCandidate& candidate);
// What all blocks together read from L2, each operand as often as blocks ask for it. Rows and columns that a tile has
// beyond the matrix are not read.
double launch_read_bytes(const KernelCandidate& candidate);
// Blocks of the launch.
double block_count(const KernelCandidate& candidate);

}  // namespace duet
