#include "cli/bench_kernels.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace duet {
namespace {

double share(double value, double of) { return of > 0 ? value / of : 0; }

nlohmann::json kernel_json(const KernelFigures& kernel, const Ceilings& ceilings) {
  nlohmann::json out{{"problem", kernel.problem},
                     {"family", kernel.family},
                     {"kernel", kernel.entry},
                     {"tower", kernel.tower},
                     {"count", kernel.count},
                     {"us", kernel.measured_us},
                     {"stored_us", kernel.stored_us},
                     {"floor_us", kernel.floor_us},
                     {"ratio", share(kernel.measured_us, kernel.floor_us)},
                     {"flops", kernel.flops},
                     {"bytes", kernel.bytes},
                     {"gbps", kernel.gbps()},
                     {"gbps_share", share(kernel.gbps(), ceilings.gbps)},
                     {"tflops", kernel.tflops()},
                     {"tflops_share", share(kernel.tflops(), ceilings.tflops)}};
  if (kernel.product) {
    const ProductSize& size = *kernel.product;
    out["product"] = {{"m", size.m}, {"n", size.n}, {"k", size.k}, {"batch", size.batch}};
  }
  if (!kernel.failure.empty()) out["failure"] = kernel.failure;
  return out;
}

// Of one run of the plan.
double total_us(const std::vector<KernelFigures>& kernels, double KernelFigures::*time_us) {
  double sum = 0;
  for (const KernelFigures& kernel : kernels) sum += kernel.count * (kernel.*time_us);
  return sum;
}

}  // namespace

nlohmann::json kernel_report_json(const KernelReport& report) {
  const Ceilings& ceilings = report.ceilings;
  nlohmann::json out{{"model", report.plan.model},
                     {"batch", report.plan.batch},
                     {"precision", dtype_name(report.plan.precision)},
                     {"variant", report.plan.variant},
                     {"sm_count", report.plan.device.sm_count},
                     {"context", report.context},
                     {"ceilings",
                      {{"gbps", ceilings.gbps},
                       {"gbps_kernel", ceilings.gbps_kernel},
                       {"tflops", ceilings.tflops},
                       {"tflops_kernel", ceilings.tflops_kernel}}},
                     {"sum_us", total_us(report.kernels, &KernelFigures::measured_us)},
                     {"sum_floor_us", total_us(report.kernels, &KernelFigures::floor_us)}};
  for (const KernelFigures& kernel : report.kernels) out["kernels"].push_back(kernel_json(kernel, ceilings));
  return out;
}

void print_kernel_report(const KernelReport& report) {
  const Ceilings& ceilings = report.ceilings;
  fmt::print("ceilings, by our own kernels: {:.0f} GB/s ({}), {:.1f} TFLOP/s ({})\n", ceilings.gbps,
             ceilings.gbps_kernel, ceilings.tflops, ceilings.tflops_kernel);
  fmt::print("{:>5} {:<64}{:>9}{:>9}{:>7}{:>8}{:>6}{:>9}{:>6}\n", "count", "kernel", "us", "floor", "ratio", "GB/s",
             "%", "TFLOP/s", "%");
  for (const KernelFigures& kernel : report.kernels) {
    if (!kernel.failure.empty()) {
      fmt::print("{:>5} {:<64} not timed: {}\n", kernel.count, kernel.problem, kernel.failure);
      continue;
    }
    fmt::print("{:>5} {:<64}{:>9.2f}{:>9.2f}{:>7.2f}{:>8.0f}{:>6.0f}{:>9.1f}{:>6.0f}\n", kernel.count, kernel.problem,
               kernel.measured_us, kernel.floor_us, share(kernel.measured_us, kernel.floor_us), kernel.gbps(),
               100 * share(kernel.gbps(), ceilings.gbps), kernel.tflops(),
               100 * share(kernel.tflops(), ceilings.tflops));
  }
  fmt::print("sum of one run, kernel after kernel: {:.1f} us, floor {:.1f} us\n",
             total_us(report.kernels, &KernelFigures::measured_us), total_us(report.kernels, &KernelFigures::floor_us));
}

}  // namespace duet
