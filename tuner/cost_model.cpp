#include "tuner/cost_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>

namespace duet {
namespace {

constexpr double kSmemBytesPerClock = 128;
constexpr double kL2BytesPerClock = 32;      // for each SM, when all ask
constexpr double kIntakeBytesPerClock = 62;  // of an SM when few ask
constexpr double kLoadLatencyUs = 0.4;       // between L2's and DRAM's
constexpr double kIssueShare = 0.6;          // of an SM's issue slots that a warp on each of its parts takes
constexpr double kReachableBandwidth = 0.85;
constexpr int kSubPartitions = 4;   // of an SM, each with its tensor core
constexpr int kRegisterUnit = 256;  // allocated to a warp at a time
constexpr int kMaxRegisters = 255;

double positive(double value, double otherwise) { return value > 0 ? value : otherwise; }

// From Hopper on the peak is quoted for instructions that read operands from shared memory by themselves; mma.sync,
// which these kernels use on every architecture, reaches less.
double mma_share_of_peak(const std::string& arch) { return arch_number(arch) >= 90 ? 0.62 : 1.0; }

// Two a block slot on the architectures of data centres (sm_80, sm_90, sm_100) and before sm_80, one on the others, as
// cuda_occupancy.h of CUDA 13.0 has it.
int barriers_per_sm(const DeviceSpec& device) {
  const int arch = arch_number(device.arch);
  const bool doubled = arch <= 80 || arch == 90 || arch == 100 || arch == 103;
  return device.blocks_per_sm * (doubled ? 2 : 1);
}

// Rates of one SM, per microsecond.
struct SmRates {
  double tensor_flops, scalar_ops, smem_bytes, clocks;
};

// What runs beside each other: between the sum (exponent 1) and the largest (a large one).
double join(std::initializer_list<double> times, double exponent) {
  const double largest = std::max(times);
  if (!(largest > 0)) return 0;
  double sum = 0;
  for (const double time : times) sum += std::pow(time / largest, exponent);
  return largest * std::pow(sum, 1 / exponent);
}

SmRates sm_rates(const DeviceSpec& device, bool warpgroup_products) {
  const double sms = std::max(device.sm_count, 1);
  const double clocks = positive(device.sm_clock_mhz, 1000);
  const double share = warpgroup_products ? 1.0 : mma_share_of_peak(device.arch);
  const double tensor = positive(device.fp16_tflops, 1) * 1e6 / sms * share;
  // A peak counts a multiply-add as two; most of these instructions are not.
  const double scalar = positive(device.fp32_tflops, device.fp16_tflops / 8) * 1e6 / sms / 2;
  return {tensor, positive(scalar, 1), kSmemBytesPerClock * clocks, clocks};
}

// Warps on the part of an SM that has most of them.
double busiest_part(double resident, int warps) { return std::ceil(resident * warps / kSubPartitions); }

// Time of `resident` blocks that start together on one SM, and its parts.
struct RoundTime {
  double tensor, smem, scalar, l2, latency, chain, total;
};

// `active_share`: of the SMs, those that have blocks.
RoundTime round_time(const CostInputs& inputs, double resident, double active_share, const SmRates& rates,
                     const CostFactors& factors) {
  const KernelWork& work = inputs.work;
  RoundTime time{};
  const double warps_a_part = busiest_part(resident, inputs.warps);
  // Fewer warps than tensor cores leave some idle, as do five on four.
  const double idle_cores = warps_a_part * kSubPartitions / (resident * inputs.warps);
  const double crowding = std::max(1.0, factors.issue * kIssueShare * warps_a_part);
  const double copy_crowding = std::max(1.0, warps_a_part);  // copies keep their part's issue slots busy
  const double latency_us = factors.latency * kLoadLatencyUs;
  time.tensor = factors.tensor * resident * work.tensor_flops / rates.tensor_flops * idle_cores;
  time.smem = factors.smem * resident * work.smem_read_bytes / rates.smem_bytes;
  time.scalar = factors.scalar * resident * work.scalar_ops / rates.scalar_ops;
  // What L2 gives to all, and what an SM takes in.
  const double bytes = work.load_bytes + work.store_bytes;
  const double clocks = std::max(bytes * active_share / kL2BytesPerClock, bytes / kIntakeBytesPerClock);
  time.l2 = factors.l2 * resident * clocks / rates.clocks;
  time.latency = std::max(work.iterations, 1) * latency_us / std::max(work.loads_ahead, 1);
  time.chain =
      (factors.sync * work.sync_clocks + crowding * (factors.math * work.math_clocks + factors.rows * work.row_clocks) +
       copy_crowding * factors.copy * work.copy_clocks) /
      rates.clocks;
  time.total = latency_us +
               join({time.tensor, time.smem, time.scalar, time.l2, time.latency, time.chain}, factors.overlap) +
               crowding * factors.block * work.block_clocks / rates.clocks;
  return time;
}

// Partial results are read by one block of those that share a result, which adds them; they are written while that one
// is busy with its own part.
double combine_us(const KernelWork& work, double blocks, const DeviceSpec& device, const SmRates& rates) {
  if (work.combine_blocks <= 1) return 0;
  const double readers = std::clamp(blocks / work.combine_blocks, 1.0, std::max<double>(device.sm_count, 1));
  return work.combine_sync_us + work.combine_bytes / (kIntakeBytesPerClock * rates.clocks * readers);
}

void add_sm_times(CostBreakdown& cost, const CostInputs& inputs, const DeviceSpec& device, const SmRates& rates,
                  const CostFactors& factors) {
  const double on_busiest = std::ceil(cost.blocks / std::max(device.sm_count, 1));
  const double resident = std::min<double>(on_busiest, cost.blocks_per_sm);
  const double full_rounds = std::floor(on_busiest / resident);
  const double rest = on_busiest - full_rounds * resident;
  const double active_share = std::min(1.0, cost.blocks / std::max(device.sm_count, 1));
  const auto add = [&](double blocks, double rounds) {
    const RoundTime time = round_time(inputs, blocks, active_share, rates, factors);
    cost.tensor_us += rounds * time.tensor;
    cost.smem_us += rounds * time.smem;
    cost.scalar_us += rounds * time.scalar;
    cost.l2_us += rounds * time.l2;
    cost.latency_us += rounds * time.latency;
    cost.chain_us += rounds * time.chain;
    cost.sm_us += rounds * time.total;
  };
  const double later_share = inputs.work.later_share;
  add(resident, 1 + (full_rounds - 1) * later_share);
  if (rest > 0) add(rest, later_share);
}

}  // namespace

double floor_us(const KernelTraffic& traffic, const DeviceSpec& device, bool tensor_cores) {
  const double peak = tensor_cores ? device.fp16_tflops : positive(device.fp32_tflops, device.fp16_tflops);
  return std::max(traffic.bytes / (positive(device.memory_gbps, 1) * 1e3), traffic.flops / (positive(peak, 1) * 1e6));
}

int blocks_per_sm(const DeviceSpec& device, int threads, int registers, int smem_bytes, int barriers) {
  if (threads <= 0) return 0;
  const int warps = ceil_div(threads, 32);
  const int warp_registers = round_up(std::clamp(registers, 1, kMaxRegisters) * 32, kRegisterUnit);
  // Each part of an SM has a quarter of the registers, and a launch is checked as if a block had as many warps on each.
  const int warps_by_registers = device.registers_per_sm / kSubPartitions / warp_registers * kSubPartitions;
  const int by_registers = round_up(warps, kSubPartitions) > warps_by_registers ? 0 : warps_by_registers / warps;
  const int by_smem = device.smem_bytes_per_sm / (smem_bytes + kReservedSmemPerBlock);
  const int by_barriers = barriers_per_sm(device) / std::max(barriers, 1);
  return std::max(
      0, std::min({by_registers, by_smem, by_barriers, device.threads_per_sm / (warps * 32), device.blocks_per_sm}));
}

CostInputs cost_inputs(const KernelCandidate& candidate, const KernelTraffic& traffic, const DeviceSpec& device,
                       int registers) {
  CostInputs inputs{.work = kernel_work(candidate), .traffic = traffic};
  inputs.blocks = std::max(block_count(candidate), 1.0);
  inputs.warps = std::max(ceil_div(candidate.threads, 32), 1);
  inputs.blocks_per_sm =
      blocks_per_sm(device, candidate.threads, registers > 0 ? registers : inputs.work.estimated_registers,
                    candidate.smem_bytes, inputs.work.barriers);
  return inputs;
}

CostBreakdown predict(const KernelCandidate& candidate, const KernelTraffic& traffic, const DeviceSpec& device,
                      int registers) {
  const FamilyCalibration* family =
      device.calibration == nullptr ? nullptr : device.calibration->find(family_name(candidate.spec));
  return predict(cost_inputs(candidate, traffic, device, registers), device,
                 family == nullptr ? CostFactors{} : family->factors);
}

CostBreakdown predict(const CostInputs& inputs, const DeviceSpec& device, const CostFactors& factors) {
  const SmRates rates = sm_rates(device, inputs.work.warpgroup_products);
  CostBreakdown cost;
  cost.launch_us = factors.launch * device.launch_us;
  cost.floor_us = floor_us(inputs.traffic, device, inputs.work.tensor_flops > 0);
  cost.blocks = inputs.blocks;
  cost.blocks_per_sm = inputs.blocks_per_sm;
  if (cost.blocks_per_sm == 0) {
    cost.total_us = std::numeric_limits<double>::infinity();
    return cost;
  }
  cost.waves = cost.blocks / (static_cast<double>(std::max(device.sm_count, 1)) * cost.blocks_per_sm);
  cost.tail = cost.waves / std::ceil(cost.waves);
  cost.sm_share = std::min(1.0, cost.waves);
  cost.memory_us =
      factors.memory * inputs.traffic.bytes / (positive(device.memory_gbps, 1) * kReachableBandwidth * 1e3);
  add_sm_times(cost, inputs, device, rates, factors);
  cost.combine_us = factors.combine * combine_us(inputs.work, cost.blocks, device, rates);
  cost.total_us =
      cost.launch_us + std::max(join({cost.memory_us, cost.sm_us}, factors.overlap), cost.floor_us) + cost.combine_us;
  return cost;
}

std::string describe(const CostBreakdown& cost) {
  return fmt::format(
      "{:.2f} us: launch {:.2f}, memory {:.2f}, SM {:.2f} (tensor {:.2f}, smem {:.2f}, fp32 {:.2f}, L2 {:.2f}, latency "
      "{:.2f}, chain {:.2f}), combine {:.2f}; floor {:.2f}; {:.0f} blocks, {} per SM, {:.2f} waves, tail {:.0f}%",
      cost.total_us, cost.launch_us, cost.memory_us, cost.sm_us, cost.tensor_us, cost.smem_us, cost.scalar_us,
      cost.l2_us, cost.latency_us, cost.chain_us, cost.combine_us, cost.floor_us, cost.blocks, cost.blocks_per_sm,
      cost.waves, cost.tail * 100);
}

}  // namespace duet
