#include "cli/tune_flags.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "cli/data_files.h"
#include "cli/version.h"
#include "codegen/reference_choices.h"
#include "tuner/search.h"

namespace duet {
namespace {

constexpr const char* kAuto = "auto";

// Of --min-gain. What the model puts first is near the best where it is calibrated: less is worth waiting for.
constexpr double kMinGain = 0.02, kMinGainInModelsOrder = 0.1;

constexpr const char* kAllModes = "all";

std::vector<std::string> mode_names() {
  std::vector<std::string> names{kAllModes};
  for (const ExecutionMode mode : kExecutionModes) names.emplace_back(execution_mode_name(mode));
  return names;
}

// What is searched, how, and until when.
void add_search_flags(CLI::App& command, TuneFlags& flags) {
  command.add_option("--space", flags.space, "Search space: a name of schedules/ or a YAML file")
      ->capture_default_str()
      ->group("Search");
  const std::vector<std::string_view> strategies = strategy_names();
  std::vector<std::string> names{kAuto};
  names.insert(names.end(), strategies.begin(), strategies.end());
  command
      .add_option("--strategy", flags.strategy,
                  "How candidates are chosen; auto is the portfolio where time is measured, candidates are not limited "
                  "and no calibration of the cost model ships for the architecture, else the model's order")
      ->capture_default_str()
      ->check(CLI::IsMember(names))
      ->group("Search");
  command.add_option("--max-candidates", flags.max_candidates, "Per kernel; 0 is no limit")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber)
      ->group("Search");
  command.add_option("--budget", flags.budget_s, "Seconds for each of plan and baseline; 0 is no limit")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber)
      ->group("Search");
  command
      .add_option(
          "--min-gain", flags.min_gain,
          "A kernel's search ends when its next 100 trials are expected to gain less than this share of its "
          "time; 0 tries all. Not with --max-candidates or --strategy exhaustive. Where auto is the model's order: 0.1")
      ->default_str(fmt::format("{}", kMinGain))
      ->check(CLI::Range(0.0, 1.0))
      ->group("Search");
  command
      .add_option(
          "--tie", flags.tie,
          "Kernels whose times differ by less than this share are ties: the one that uses less of an SM is taken")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 0.1))
      ->group("Search");
}

void add_schedule_flags(CLI::App& command, TuneFlags& flags) {
  command
      .add_option("--schedule-budget", flags.schedule_budget_s,
                  "Seconds of the budget for choices on the whole plan; 0 is half of it, 25 without one")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber)
      ->group("Search");
  command
      .add_option("--schedule-plans", flags.schedule_plans,
                  "Plans tried with another kernel than the fastest alone; 0 is no limit")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber)
      ->group("Search");
  command.add_option("--seed", flags.seed, "For random inputs and strategies")->capture_default_str()->group("Search");
  command.add_option("--jobs", flags.jobs, "Compiler threads; 0 is one per core")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber)
      ->group("Search");
}

// What is known before, and where candidates run.
void add_run_flags(CLI::App& command, TuneFlags& flags) {
  command
      .add_option("--warm-from", flags.warm_from,
                  "Whose best candidates are tried first where time is measured: auto (other devices and shapes of the "
                  "store), none, or another database or .duet file")
      ->capture_default_str()
      ->group("Search");
  command
      .add_option(
          "--reference", flags.reference,
          "Choices that ship for devices of this kind (choices/) are tried first, and taken in ties: auto or none")
      ->check(CLI::IsMember({"auto", "none"}))
      ->capture_default_str()
      ->group("Search");
  command
      .add_option("--isolation", flags.isolation,
                  "Where candidates run and compile: process (a fault costs one candidate) or none (this process)")
      ->capture_default_str()
      ->check(CLI::IsMember({"process", "none"}))
      ->group("Search");
  command
      .add_option("--candidate-timeout-s", flags.candidate_timeout_s,
                  fmt::format("After which a launch counts as hung; 0 is {} on a GPU, {} in the emulator", kGpuTimeoutS,
                              kEmulatorTimeoutS))
      ->capture_default_str()
      ->check(CLI::Range(0.0, 86400.0))
      ->group("Search");
  command.add_option("--drill-faults", flags.drill_seed, "Make one candidate in five faulty on purpose, by this seed")
      ->group("");  // for developers: docs/tuning.md
}

void add_plan_flags(CLI::App& command, TuneFlags& flags) {
  command
      .add_option("--objective", flags.objective,
                  "What the plan is to have least of, among those that are tried; energy needs a meter")
      ->capture_default_str()
      ->check(CLI::IsMember(objective_names()))
      ->group("Plan");
  command.add_option("--max-latency-us", flags.max_latency_us, "Only a plan of at most this latency will do; 0: any")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1e9))
      ->group("Plan");
  command
      .add_option("--max-memory-mb", flags.max_memory_mb,
                  "Only a plan that holds at most so many MB (10^6 bytes) on the device will do; 0: any")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1e9))
      ->group("Plan");
  command.add_option("--mode", flags.mode, "How the towers share the device; all: a plan of each, the best shown")
      ->capture_default_str()
      ->check(CLI::IsMember(mode_names()))
      ->group("Plan");
  command
      .add_option("--disable-rule", flags.disabled_rules,
                  fmt::format("Fusion rules to leave out: {}", fmt::join(fusion_rule_names(), ", ")))
      ->group("Plan");
  command.add_flag("--no-baseline", flags.no_baseline, "Do not tune the unfused sequential baseline as well")
      ->group("Plan");
}

// `auto` is the fastest way that is known to come near the best (results/2026-11-26-h100-row-sums).
void set_strategy(TuneRequest& request, const TuneFlags& flags, const Target& target) {
  const bool by_gain = target.device && target.device->info().can_measure && flags.max_candidates == 0;
  const bool is_auto = flags.strategy == kAuto, calibrated = target.spec.calibration != nullptr;
  request.strategy = !is_auto ? flags.strategy : by_gain && !calibrated ? "portfolio" : "model_order";
  if (!by_gain || request.strategy == "exhaustive") return;
  request.min_gain = flags.min_gain.value_or(is_auto && calibrated ? kMinGainInModelsOrder : kMinGain);
}

// Only where time is measured: a prediction is the same in every run as it is.
std::vector<ReferenceChoice> reference_of(const TuneFlags& flags, const Target& target) {
  if (flags.reference == "none" || !target.device || !target.device->info().can_measure) return {};
  return find_reference_choices(data_dir() / "choices", target.spec.arch, target.spec.sm_count);
}

}  // namespace

void add_tune_flags(CLI::App& command, TuneFlags& flags) {
  flags.graph.add_to(command);
  flags.store.add_to(command);
  command.add_option("--target", flags.target, kTargetHelp)->capture_default_str();
  command.add_option("--hog", flags.hog_gbps, kHogHelp)->capture_default_str()->check(CLI::NonNegativeNumber);
  add_search_flags(command, flags);
  add_schedule_flags(command, flags);
  add_run_flags(command, flags);
  add_plan_flags(command, flags);
}

Goal goal_of(const TuneFlags& flags) {
  return {.objective = parse_objective(flags.objective),
          .max_latency_us = flags.max_latency_us,
          .max_memory_bytes = static_cast<std::uint64_t>(std::ceil(flags.max_memory_mb * 1e6))};
}

TuneRequest make_request(const TuneFlags& flags, const Target& target) {
  TuneRequest request;
  request.graph = flags.graph.load();
  request.text_length = flags.graph.text_length;
  request.target = target.name;
  request.device = target.spec;
  for (const std::string& rule : flags.disabled_rules) set_fusion_rule(request.rules, rule, false);
  request.space = load_search_space(find_data_file("schedules", flags.space));
  set_strategy(request, flags, target);
  request.max_candidates_per_kernel = flags.max_candidates;
  request.tie = flags.tie;
  request.reference = reference_of(flags, target);
  request.budget_s = flags.budget_s;
  request.schedule_budget_s = flags.schedule_budget_s;
  request.schedule_plans = flags.schedule_plans;
  request.goal = goal_of(flags);
  request.seed = flags.seed;
  request.jobs = flags.jobs;
  request.commit = built_commit();
  request.drill_seed = flags.drill_seed;
  return request;
}

std::vector<ExecutionMode> modes_of(const TuneFlags& flags) {
  std::vector<ExecutionMode> modes;
  for (const ExecutionMode mode : kExecutionModes)
    if (flags.mode == kAllModes || flags.mode == execution_mode_name(mode)) modes.push_back(mode);
  return modes;
}

}  // namespace duet
