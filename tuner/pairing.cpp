#include "tuner/pairing.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/error.h"
#include "templates/pair_config.h"
#include "tuner/cost_model.h"

namespace duet {
namespace {

// Steps of the plan, by index, of the two towers; empty when there are not two that never wait for each other's steps.
struct Towers {
  std::vector<int> first, second;
};

std::optional<Towers> two_towers(const Plan& plan) {
  std::map<int, std::vector<int>> by_stream;
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    if (!plan.steps[i].waits.empty()) break;  // from here on the towers have met
    by_stream[plan.steps[i].stream].push_back(static_cast<int>(i));
  }
  if (by_stream.size() != 2) return std::nullopt;
  return Towers{by_stream.begin()->second, by_stream.rbegin()->second};
}

// What two steps save in one launch: the shorter's time. None where a block with the threads of the one, the registers
// of the other and the larger's shared memory does not fit an SM: the compiler would spill.
std::optional<double> gain_us(const Plan& plan, const PlanStep& a, const PlanStep& b, const KernelCandidate& first,
                              const KernelCandidate& second, const DeviceSpec& device) {
  if (first.spec.index() != second.spec.index()) return std::nullopt;
  const int smem_bytes = std::max(first.smem_bytes, second.smem_bytes);
  const int threads = std::max(first.threads, second.threads);
  const int registers = std::max(registers_of(kernel_of(plan, a)), registers_of(kernel_of(plan, b)));
  if (smem_bytes > device.smem_bytes_per_block || blocks_per_sm(device, threads, registers, smem_bytes) == 0)
    return std::nullopt;
  return std::min(a.predicted_us, b.predicted_us);
}

// Best alignment of two sequences by dynamic programming; row-major table of the best gain of the first i and j steps.
class Alignment {
 public:
  template <class Gain>
  Alignment(std::size_t rows, std::size_t columns, const Gain& gain)
      : columns_(columns + 1), best_((rows + 1) * (columns + 1), 0.0), paired_(best_.size(), false) {
    for (std::size_t i = 1; i <= rows; ++i) {
      for (std::size_t j = 1; j <= columns; ++j) {
        best(i, j) = std::max(best(i - 1, j), best(i, j - 1));
        const std::optional<double> pair = gain(i - 1, j - 1);
        if (!pair || best(i - 1, j - 1) + *pair < best(i, j)) continue;
        best(i, j) = best(i - 1, j - 1) + *pair;
        paired_[i * columns_ + j] = true;
      }
    }
  }
  double& best(std::size_t i, std::size_t j) { return best_[i * columns_ + j]; }
  bool paired(std::size_t i, std::size_t j) const { return paired_[i * columns_ + j]; }

 private:
  std::size_t columns_;
  std::vector<double> best_;
  std::vector<bool> paired_;
};

std::vector<StepPair> align(const Towers& towers, const Plan& plan, std::span<const KernelCandidate> candidates,
                            const DeviceSpec& device) {
  const auto at = [](const std::vector<int>& steps, std::size_t i) { return static_cast<std::size_t>(steps[i]); };
  Alignment alignment(towers.first.size(), towers.second.size(), [&](std::size_t i, std::size_t j) {
    const std::size_t a = at(towers.first, i), b = at(towers.second, j);
    return gain_us(plan, plan.steps[a], plan.steps[b], candidates[a], candidates[b], device);
  });
  std::vector<StepPair> pairs;
  std::size_t i = towers.first.size(), j = towers.second.size();
  while (i > 0 || j > 0) {
    if (i > 0 && j > 0 && alignment.paired(i, j)) {
      pairs.push_back({.first = towers.first[--i], .second = towers.second[--j]});
    } else if (j == 0 || (i > 0 && alignment.best(i - 1, j) >= alignment.best(i, j - 1))) {
      pairs.push_back({.first = towers.first[--i]});
    } else {
      pairs.push_back({.first = towers.second[--j]});
    }
  }
  std::reverse(pairs.begin(), pairs.end());
  return pairs;
}

// ---- one step of two

void put(std::vector<std::byte>& bytes, std::size_t offset, const std::vector<std::byte>& part) {
  std::copy(part.begin(), part.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset));
}

std::vector<std::byte> pair_params(const PlanStep& a, const PlanStep& b) {
  const int first_bytes = static_cast<int>(a.params.size());
  std::vector<std::byte> bytes(static_cast<std::size_t>(pair_bytes(first_bytes, static_cast<int>(b.params.size()))));
  const Grid3 grids[2] = {{a.grid.x, a.grid.y, a.grid.z}, {b.grid.x, b.grid.y, b.grid.z}};
  std::memcpy(bytes.data(), grids, sizeof grids);
  put(bytes, pair_first_offset(), a.params);
  put(bytes, static_cast<std::size_t>(pair_second_offset(first_bytes)), b.params);
  return bytes;
}

void add_relocations(PlanStep& step, const PlanStep& part, int offset_bytes) {
  for (Relocation relocation : part.relocations) {
    relocation.param_offset += static_cast<std::uint32_t>(offset_bytes);
    step.relocations.push_back(std::move(relocation));
  }
}

PlanStep pair_step(const PlanStep& a, const PlanStep& b, int kernel) {
  PlanStep step;
  step.kernel = kernel;
  step.name = fmt::format("{} | {}", a.name, b.name);
  step.tower = "joint";
  step.grid = {.x = a.grid.blocks() + b.grid.blocks(), .y = 1, .z = 1};
  step.params = pair_params(a, b);
  add_relocations(step, a, pair_first_offset());
  add_relocations(step, b, pair_second_offset(static_cast<int>(a.params.size())));
  step.flops = a.flops + b.flops;
  step.bytes = a.bytes + b.bytes;
  step.floor_us = a.floor_us + b.floor_us;  // of bytes and operations, which the two share the device for
  step.predicted_us = std::max({a.predicted_us, b.predicted_us, step.floor_us});
  return step;
}

class Pairing {
 public:
  Pairing(const Plan& plan, std::span<const KernelCandidate> candidates, const CompilePair& compile)
      : plan_(plan), candidates_(candidates), compile_(compile), paired_(plan) {
    paired_.steps.clear();
    paired_.kernels.clear();
    paired_.mode = ExecutionMode::paired;
    paired_.stream_count = 1;
  }

  Plan build(std::span<const StepPair> pairs) {
    std::vector<StepPair> launches;
    for (const StepPair& pair : pairs) {
      const std::optional<int> kernel = pair.second < 0 ? std::nullopt : kernel_of_both(pair);
      if (kernel) {
        paired_.steps.push_back(pair_step(step(pair.first), step(pair.second), *kernel));
        launches.push_back(pair);
        continue;
      }
      for (const int single : {pair.first, pair.second}) {
        if (single < 0) continue;
        paired_.steps.push_back(alone(single));
        launches.push_back({.first = single});
      }
    }
    renumber_choices(launches);
    paired_.figures.latency_us = 0;
    for (const PlanStep& step : paired_.steps) paired_.figures.latency_us += step.predicted_us;
    validate_plan(paired_);
    return std::move(paired_);
  }

 private:
  const PlanStep& step(int index) const { return plan_.steps[static_cast<std::size_t>(index)]; }
  const KernelCandidate& candidate(int index) const { return candidates_[static_cast<std::size_t>(index)]; }

  // The steps that pose a problem, as they are called now.
  void renumber_choices(std::span<const StepPair> pairs) {
    std::map<int, int> launch_of;
    for (std::size_t i = 0; i < pairs.size(); ++i)
      for (const int step : {pairs[i].first, pairs[i].second}) launch_of[step] = static_cast<int>(i);
    for (KernelChoice& choice : paired_.choices)
      for (int& step : choice.steps) step = launch_of.at(step);
  }

  int keep(const PlanKernel& kernel) {
    for (std::size_t i = 0; i < paired_.kernels.size(); ++i)
      if (paired_.kernels[i].entry == kernel.entry && paired_.kernels[i].source == kernel.source)
        return static_cast<int>(i);
    paired_.kernels.push_back(kernel);
    return static_cast<int>(paired_.kernels.size()) - 1;
  }

  PlanStep alone(int index) {
    PlanStep single = step(index);
    single.kernel = keep(kernel_of(plan_, single));
    single.stream = 0;
    single.waits.clear();
    return single;
  }

  // Its number; none when it does not compile.
  std::optional<int> kernel_of_both(const StepPair& pair) {
    const PlanKernel& first = kernel_of(plan_, step(pair.first));
    const PlanKernel& second = kernel_of(plan_, step(pair.second));
    const KernelSource source = emit_pair(candidate(pair.first), candidate(pair.second));
    const auto [known, is_new] = of_source_.try_emplace(source.text);
    if (!is_new) return known->second;
    std::optional<std::vector<KernelImage>> images = compile_(source);
    if (!images) return std::nullopt;
    known->second = static_cast<int>(paired_.kernels.size());
    paired_.kernels.push_back({.entry = source.entry,
                               .family = "pair",
                               .config_text = fmt::format("{} | {}", first.config_text, second.config_text),
                               .source = source.text,
                               .threads = pair_larger(first.threads, second.threads),
                               .smem_bytes = pair_larger(first.smem_bytes, second.smem_bytes),
                               .programmatic_launch = first.programmatic_launch && second.programmatic_launch,
                               .images = std::move(*images)});
    return known->second;
  }

  const Plan& plan_;
  std::span<const KernelCandidate> candidates_;
  const CompilePair& compile_;
  std::map<std::string, std::optional<int>> of_source_;  // kernels of pairs
  Plan paired_;
};

}  // namespace

std::vector<StepPair> pair_steps(const Plan& plan, std::span<const KernelCandidate> candidates,
                                 const DeviceSpec& device) {
  if (candidates.size() != plan.steps.size())
    fail(ErrorKind::internal, "plan of '{}': {} steps, {} candidates", plan.key.model, plan.steps.size(),
         candidates.size());
  std::vector<StepPair> pairs;
  if (const std::optional<Towers> towers = two_towers(plan)) pairs = align(*towers, plan, candidates, device);
  std::set<int> placed;
  for (const StepPair& pair : pairs) placed.insert({pair.first, pair.second});
  for (int i = 0; i < static_cast<int>(plan.steps.size()); ++i)
    if (!placed.contains(i)) pairs.push_back({.first = i});
  return pairs;
}

Plan pair_towers(const Plan& plan, std::span<const KernelCandidate> candidates, const DeviceSpec& device,
                 const CompilePair& compile) {
  const std::vector<StepPair> pairs = pair_steps(plan, candidates, device);
  return Pairing(plan, candidates, compile).build(pairs);
}

}  // namespace duet
