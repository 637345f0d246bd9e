// An analytic time for a candidate on a device: it ranks candidates where nothing can be measured, and orders the
// search where something can. Pure arithmetic on public figures of the device; absolute times are estimates.
#pragma once

#include <string>

#include "codegen/calibration.h"
#include "codegen/candidate.h"
#include "codegen/device_spec.h"
#include "tuner/kernel_work.h"

namespace duet {

// The least any implementation moves and computes (LoweredGroup::bytes, flops).
struct KernelTraffic {
  double flops = 0;
  double bytes = 0;
};

// max(bytes / memory bandwidth, flops / peak): the roofline (Williams et al. 2009), without launch.
double floor_us(const KernelTraffic& traffic, const DeviceSpec& device, bool tensor_cores);

// What the system keeps of an SM's shared memory for each block.
inline constexpr int kReservedSmemPerBlock = 1024;
// Blocks of this size that one SM holds, as the CUDA occupancy rules have it: registers in units of 256 a warp, shared
// memory with what the system keeps, threads, block slots, barriers. 0 when not even one fits.
int blocks_per_sm(const DeviceSpec& device, int threads, int registers, int smem_bytes, int barriers = 1);

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
  double chain_us = 0;    //   instructions of a warp that wait for each other
  double sm_us = 0;       // the busiest SM's time: the above joined, plus what a block spends once
  double combine_us = 0;  // split-K: partial tiles waited for, read and added
  double launch_us = 0;
  double total_us = 0;  // launch + memory and sm joined, the floor at least, + combine
};

// What a prediction is computed from, so that many can be made of one candidate with other factors.
struct CostInputs {
  KernelWork work;
  KernelTraffic traffic;
  double blocks = 1;
  int warps = 1;  // of a block
  int blocks_per_sm = 0;
};
// `registers` 0: estimated from the tile. The candidate must be feasible.
CostInputs cost_inputs(const KernelCandidate& candidate, const KernelTraffic& traffic, const DeviceSpec& device,
                       int registers = 0);

// The busiest SM gets b = ceil(blocks / SMs) blocks and holds r = min(b, blocks per SM) at once. r that start together
// take the latency of a first load, then
//   norm( r flops / tensor rate, r smem bytes / 128 B per clock, r ops / fp32 rate,
//         max(r L2 bytes / (32 B per clock and SM of the device / SMs that have blocks), r bytes / 62 B per clock),
//         steps * latency / loads in flight, chain * crowding ) + block * crowding
// where norm(x...) = (sum of x^p)^(1/p), chain and block are the clocks of KernelWork, and crowding is 1 until the
// warps that are resident want more issue slots than there are (copies want all of a quarter of the SM). b blocks take
// floor(b / r) such rounds and one of the rest; rounds after the first hold average blocks. DRAM's time joins the SM's
// in the same norm. Every term has a factor (CostFactors; `device.calibration` gives those of the family, 1 where it
// does not). Figures: 128 B per clock and SM of shared memory and occupancy rules from the CUDA programming guide; L2
// at 32 B per clock and SM from what products of all shapes reach together on an H100, 7 to 8 TB/s, an SM's 62 from
// what few reach (docs/performance.md), mma.sync at 62% of the peak from sm_90 on from published microbenchmarks of
// A100 and H100; clocks and the latency of a load set by hand on spaces recorded on an H100 (docs/cost-model.md).
CostBreakdown predict(const KernelCandidate& candidate, const KernelTraffic& traffic, const DeviceSpec& device,
                      int registers = 0);
CostBreakdown predict(const CostInputs& inputs, const DeviceSpec& device, const CostFactors& factors);

std::string describe(const CostBreakdown& cost);

}  // namespace duet
