// An analytic time for a candidate on a device: it ranks candidates where nothing can be measured, and orders the
// search where something can. Pure arithmetic on public figures of the device; absolute times are estimates.
#pragma once

#include <string>

#include "codegen/candidate.h"
#include "codegen/device_spec.h"

namespace duet {

// The least any implementation moves and computes (LoweredGroup::bytes, flops).
struct KernelTraffic {
  double flops = 0;
  double bytes = 0;
};

// max(bytes / memory bandwidth, flops / peak): the roofline (Williams et al. 2009), without launch.
double floor_us(const KernelTraffic& traffic, const DeviceSpec& device, bool tensor_cores);

// Blocks of this size that one SM holds, as the CUDA occupancy rules have it: registers in units of 256 a warp, shared
// memory with the kilobyte a block that the system reserves, threads, block slots. 0 when not even one fits.
int blocks_per_sm(const DeviceSpec& device, int threads, int registers, int smem_bytes);

// How a predicted time comes about. All times in microseconds, of the whole kernel.
struct CostBreakdown {
  double floor_us = 0;
  double blocks = 0;
  int blocks_per_sm = 0;  // 0: does not fit, and total_us is infinite
  double waves = 0;       // blocks / (SMs * blocks per SM)
  double tail = 1;        // share of block slots used over all waves, rounded up
  double sm_share = 1;    // of the device's block slots that the kernel fills at once
  double memory_us = 0;   // least traffic at the bandwidth that is reached in practice
  double tensor_us = 0;   // the busiest SM's: tensor cores
  double smem_us = 0;     //   operand reads from shared memory
  double scalar_us = 0;   //   fp32 pipes
  double l2_us = 0;       //   bytes from L2, re-reads by other tiles included
  double latency_us = 0;  //   dependent loads not hidden by the stages in flight
  double sm_us = 0;       // the busiest SM's time: the largest of the above per step, plus filling the pipeline
  double combine_us = 0;  // split-K: partial tiles written, read and added
  double launch_us = 0;
  double total_us = 0;  // launch + max(memory, sm, floor) + combine
};

// `registers` 0: estimated from the tile. The candidate must be feasible.
//
// The busiest SM gets b = ceil(blocks / SMs) blocks and holds r = min(b, blocks per SM) at once. With r resident, one
// step of the k-loop takes
//   max( r flops / tensor rate, r smem bytes / 128 B per clock, r ops / fp32 rate, r L2 bytes / 32 B per clock,
//        latency / loads in flight )
// where the tensor rate falls when the resident warps have too few independent products to cover the latency of one
// (Little's law), and b blocks take floor(b / r) rounds of r and one of the rest. Figures: 128 B per clock and SM of
// shared memory and occupancy rules from the CUDA programming guide; L2 at 32 B per clock and SM, a DRAM latency of
// 600 ns and mma.sync at 62% of the peak from sm_90 on from published microbenchmarks of A100 and H100.
CostBreakdown predict(const KernelCandidate& candidate, const KernelTraffic& traffic, const DeviceSpec& device,
                      int registers = 0);

std::string describe(const CostBreakdown& cost);

}  // namespace duet
