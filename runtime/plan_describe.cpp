// A plan as people read it: at most 120 columns, and never a prediction that looks like a measurement.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "runtime/plan.h"
#include "runtime/plan_memory.h"

namespace duet {
namespace {

struct CostSum {
  int steps = 0;
  std::vector<int> kernels{};  // distinct, in order of first use
  double flops = 0, bytes = 0, predicted_us = 0, floor_us = 0, measured_us = 0;

  void add(const PlanStep& step) {
    ++steps;
    if (std::find(kernels.begin(), kernels.end(), step.kernel) == kernels.end()) kernels.push_back(step.kernel);
    flops += step.flops;
    bytes += step.bytes;
    predicted_us += step.predicted_us;
    floor_us += step.floor_us;
    measured_us += step.measured_us;
  }
};

std::string shortened(std::string_view text, std::size_t width) {
  if (text.size() <= width) return std::string(text);
  return fmt::format("{}...", text.substr(0, width - 3));
}

std::string size_text(std::uint64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (bytes < 1024) return fmt::format("{} B", bytes);
  if (bytes < 1024 * 1024) return fmt::format("{:.1f} KiB", value / 1024);
  return fmt::format("{:.1f} MiB", value / (1024 * 1024));
}

std::string time_text(double us) { return us > 0 ? fmt::format("{:.1f}", us) : "-"; }

// Registers and spills are of the image for the plan's own architecture where there is one.
const KernelImage* shown_image(const Plan& plan, const PlanKernel& kernel) {
  for (const KernelImage& image : kernel.images)
    if (image.arch == plan.key.device.arch) return &image;
  return kernel.images.empty() ? nullptr : &kernel.images.front();
}

std::string_view provenance_sentence(Provenance provenance) {
  switch (provenance) {
    case Provenance::measured:
      return "MEASURED on this device";
    case Provenance::emulated:
      return "EMULATED: results checked on the CPU, times come from the cost model";
    case Provenance::predicted:
      return "PREDICTED by the cost model, not measured";
  }
  return "of unknown origin";
}

std::string latency_text(const Plan& plan) {
  const PlanFigures& figures = plan.figures;
  const bool measured = plan.provenance == Provenance::measured;
  std::string text = fmt::format("latency {:.1f} us {}", figures.latency_us, measured ? "measured" : "predicted");
  if (!figures.latency_us_samples.empty()) {
    const auto [least, most] =
        std::minmax_element(figures.latency_us_samples.begin(), figures.latency_us_samples.end());
    text += fmt::format(" (median of {}, {:.1f} to {:.1f})", figures.latency_us_samples.size(), *least, *most);
  }
  text += fmt::format("; floor {} us", time_text(figures.floor_us));
  return text;
}

std::string baseline_text(const Plan& plan) {
  const PlanFigures& figures = plan.figures;
  if (figures.baseline_latency_us <= 0) return "baseline: unknown";
  std::string text = fmt::format("baseline {:.1f} us {}", figures.baseline_latency_us,
                                 plan.provenance == Provenance::measured ? "measured" : "predicted");
  if (figures.latency_us > 0) text += fmt::format(": {:.2f}x faster", figures.baseline_latency_us / figures.latency_us);
  if (figures.baseline_steps > 0) {
    const double kept = static_cast<double>(plan.steps.size()) / figures.baseline_steps;
    text += fmt::format("; launches {} -> {} ({:+.0f}%)", figures.baseline_steps, plan.steps.size(), 100 * (kept - 1));
  }
  return text;
}

// "0.412 mJ a run; chosen for least energy, latency <= 400 us"; empty where neither is known.
std::string objective_text(const PlanFigures& figures) {
  std::vector<std::string> parts;
  if (figures.energy_mj > 0) parts.push_back(fmt::format("{:.3f} mJ a run", figures.energy_mj));
  if (!figures.objective.empty()) parts.push_back("chosen for " + figures.objective);
  return fmt::format("{}", fmt::join(parts, "; "));
}

std::string images_text(const Plan& plan) {
  std::map<std::string, std::size_t> counts;
  for (const PlanKernel& kernel : plan.kernels)
    for (const KernelImage& image : kernel.images) ++counts[fmt::format("{} ({})", image.arch, image.compiler)];
  std::vector<std::string> parts;
  for (const auto& [what, count] : counts) parts.push_back(fmt::format("{} x {}", count, what));
  return parts.empty() ? "none" : fmt::format("{}", fmt::join(parts, ", "));
}

// By what each stream runs; what is joint comes last, where the towers have met.
std::map<int, std::string> towers_of_streams(const Plan& plan) {
  std::map<int, std::string> towers;
  for (const PlanStep& step : plan.steps)
    if (step.tower != "joint") towers.emplace(step.stream, step.tower);
  return towers;
}

// "vision first", "by turns"; empty for one tower.
std::string launch_order_text(const Plan& plan) {
  std::vector<std::string> towers;  // without repetitions in a row
  for (const PlanStep& step : plan.steps)
    if (step.tower != "joint" && (towers.empty() || towers.back() != step.tower)) towers.push_back(step.tower);
  if (towers.size() < 2) return "";
  const std::set<std::string> distinct(towers.begin(), towers.end());
  return towers.size() > distinct.size() ? "by turns" : towers.front() + " first";
}

void append_line(std::string& text, std::string_view label, std::string_view value) {
  text += fmt::format("{:<10}{}\n", label, shortened(value, 110));
}

void append_header(std::string& text, const Plan& plan) {
  const PlanKey& key = plan.key;
  const DeviceFingerprint& device = key.device;
  append_line(text, "plan",
              fmt::format("{}, batch {}, {}, {}", key.model, key.batch, dtype_name(key.precision), key.variant));
  append_line(text, "device",
              fmt::format("{} ({}, {} SMs, SM {} MHz, memory {} MHz, L2 {}, mode {}, driver {})", device.module,
                          device.arch, device.sm_count, device.sm_clock_mhz, device.memory_clock_mhz,
                          size_text(static_cast<std::uint64_t>(device.l2_bytes)),
                          device.power_mode.empty() ? "unknown" : device.power_mode, device.driver_version));
  append_line(text, "figures", provenance_sentence(plan.provenance));
  append_line(text, "", latency_text(plan));
  append_line(text, "", baseline_text(plan));
  if (const std::string chosen = objective_text(plan.figures); !chosen.empty()) append_line(text, "", chosen);
  append_line(
      text, "schedule",
      fmt::format("{}, {} stream{}, {} launches of {} kernels", execution_mode_name(plan.mode), plan.stream_count,
                  plan.stream_count == 1 ? "" : "s", plan.steps.size(), plan.kernels.size()));
  if (const std::string streams = describe_streams(plan); !streams.empty()) append_line(text, "", streams);
  append_line(
      text, "memory",
      fmt::format("{}: arena {}, weights {}, counters {}, inputs and outputs", size_text(plan_memory_bytes(plan)),
                  size_text(plan.arena_bytes), size_text(plan.weight_bytes), size_text(plan.counter_bytes)));
  append_line(text, "images", images_text(plan));
  if (!plan.figures.environment.empty()) append_line(text, "made on", plan.figures.environment);
  if (!plan.figures.commit.empty()) append_line(text, "made by", "duet " + plan.figures.commit);
}

void append_towers(std::string& text, const Plan& plan) {
  std::map<std::string, CostSum> towers;
  CostSum all;
  for (const PlanStep& step : plan.steps) {
    towers[step.tower].add(step);
    all.add(step);
  }
  text += fmt::format("\n{:<20}{:>10}{:>10}{:>12}{:>12}{:>16}{:>12}{:>16}\n", "tower", "launches", "kernels", "GFLOP",
                      "MB moved", "predicted us", "floor us", "measured us");
  const auto append_row = [&](std::string_view name, const CostSum& sum) {
    text += fmt::format("{:<20}{:>10}{:>10}{:>12.3f}{:>12.2f}{:>16}{:>12}{:>16}\n", shortened(name, 19), sum.steps,
                        sum.kernels.size(), sum.flops * 1e-9, sum.bytes * 1e-6, time_text(sum.predicted_us),
                        time_text(sum.floor_us), time_text(sum.measured_us));
  };
  for (const auto& [name, sum] : towers) append_row(name, sum);
  append_row("all", all);
}

void append_kernels(std::string& text, const Plan& plan) {
  std::vector<CostSum> sums(plan.kernels.size());
  for (const PlanStep& step : plan.steps)
    if (step.kernel >= 0 && static_cast<std::size_t>(step.kernel) < sums.size())
      sums[static_cast<std::size_t>(step.kernel)].add(step);
  // The entry's name spells the configuration out.
  text += fmt::format("\n{:<66}{:>5}{:>8}{:>6}{:>7}{:>14}{:>13}\n", "kernel", "uses", "smem", "regs", "spill",
                      "predicted us", "measured us");
  for (std::size_t i = 0; i < plan.kernels.size(); ++i) {
    const PlanKernel& kernel = plan.kernels[i];
    const KernelImage* image = shown_image(plan, kernel);
    text += fmt::format("{:<66}{:>5}{:>8}{:>6}{:>7}{:>14}{:>13}\n", shortened(kernel.entry, 65), sums[i].steps,
                        kernel.smem_bytes, image ? fmt::format("{}", image->registers) : "-",
                        image ? fmt::format("{}", image->spill_bytes) : "-", time_text(sums[i].predicted_us),
                        time_text(sums[i].measured_us));
  }
}

}  // namespace

std::string describe_streams(const Plan& plan) {
  if (plan.stream_count < 2) return "";
  std::vector<std::string> parts;
  if (std::string order = launch_order_text(plan); !order.empty()) parts.push_back(std::move(order));
  for (const auto& [stream, tower] : towers_of_streams(plan)) {
    const StreamShare share = stream_share(plan, stream);
    if (share.priority > 0) parts.push_back("priority for " + tower);
    if (share.sms > 0) parts.push_back(fmt::format("{} SMs for {}", share.sms, tower));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string describe_plan(const Plan& plan) {
  std::string text;
  append_header(text, plan);
  append_towers(text, plan);
  append_kernels(text, plan);
  return text;
}

}  // namespace duet
