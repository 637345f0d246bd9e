// `duet tune`: search kernels and schedule for one model on one target, and store the best plan.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/data_files.h"
#include "cli/drill_report.h"
#include "cli/interrupt.h"
#include "cli/pareto_report.h"
#include "cli/plan_json.h"
#include "cli/progress.h"
#include "cli/target.h"
#include "cli/version.h"
#include "cli/warm_report.h"
#include "codegen/reference_choices.h"
#include "runtime/text_length.h"
#include "tuner/candidate_log.h"
#include "tuner/search.h"
#include "tuner/tuning_session.h"

namespace duet {
namespace {

constexpr const char* kAuto = "auto";

// Of --min-gain. What the model puts first is near the best where it is calibrated: less is worth waiting for.
constexpr double kMinGain = 0.02, kMinGainInModelsOrder = 0.1;

struct TuneFlags {
  GraphFlags graph;
  StoreFlags store;
  std::string target = "auto";
  std::string space = "default";
  std::string strategy = kAuto;
  std::string mode = "streams";
  std::vector<std::string> disabled_rules;
  std::string objective = "latency";
  double max_latency_us = 0, max_memory_mb = 0;
  double budget_s = 0;
  double schedule_budget_s = 0;
  int schedule_plans = 0;
  std::optional<double> min_gain;
  double tie = kTie;
  int max_candidates = 0;
  int jobs = 0;
  std::uint64_t seed = 1;
  bool no_baseline = false;
  std::string warm_from = "auto";
  std::string reference = "auto";
  std::string isolation = "process";
  double candidate_timeout_s = 0;
  double hog_gbps = 0;
  std::optional<std::uint64_t> drill_seed;
};

constexpr const char* kAllModes = "all";

std::vector<std::string> mode_names() {
  std::vector<std::string> names{kAllModes};
  for (const ExecutionMode mode : kExecutionModes) names.emplace_back(execution_mode_name(mode));
  return names;
}

void add_flags(CLI::App& command, TuneFlags& flags) {
  flags.graph.add_to(command);
  flags.store.add_to(command);
  command.add_option("--target", flags.target, kTargetHelp)->capture_default_str();
  command.add_option("--hog", flags.hog_gbps, kHogHelp)->capture_default_str()->check(CLI::NonNegativeNumber);
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
  command
      .add_option("--schedule-budget", flags.schedule_budget_s,
                  "Seconds of the budget for choices on the whole plan; 0 is a quarter of it, 25 without one")
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

Goal goal_of(const TuneFlags& flags) {
  return {.objective = parse_objective(flags.objective),
          .max_latency_us = flags.max_latency_us,
          .max_memory_bytes = static_cast<std::uint64_t>(std::ceil(flags.max_memory_mb * 1e6))};
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

TuneReport tune_once(TuningSession& session, const TuneRequest& request) {
  ProgressBar progress;
  session.set_observer([&](const TuneProgress& p) { progress.show(p); });
  return session.tune(request);
}

nlohmann::json report_json(const TuneReport& report) {
  nlohmann::json json = {
      {"candidates", report.candidates}, {"compiled", report.compiled},       {"cached", report.cached},
      {"verified", report.verified},     {"infeasible", report.infeasible},   {"failed", report.failed},
      {"elapsed_s", report.elapsed_s},   {"compile_s", report.compile_s},     {"verify_s", report.verify_s},
      {"measure_s", report.measure_s},   {"interrupted", report.interrupted}, {"reused", report.reused},
      {"plan", plan_json(report.plan)}};
  if (!report.drill.empty()) json["drill"] = drill_json(report.drill);
  if (const auto& error = report.prediction_error)
    json["prediction_error"] = {
        {"median", error->median}, {"p90", error->p90}, {"covered", error->covered}, {"fitted_on", error->fitted_arch}};
  if (!report.warm.empty()) json["warm_start"] = warm_json(report.warm);
  return json;
}

void print_report(const char* what, const TuneReport& r) {
  fmt::print(
      stderr,
      "{}: {} candidates ({} infeasible, {} from earlier runs), {} compiled, {} verified, {} failed, in {:.1f} s "
      "(compile {:.1f}, verify {:.1f}, measure {:.1f}){}\n",
      what, r.candidates, r.infeasible, r.cached, r.compiled, r.verified, r.failed, r.elapsed_s, r.compile_s,
      r.verify_s, r.measure_s,
      r.interrupted ? "; interrupted, best so far kept"
      : r.reused    ? "; all was known, the plan is an earlier run's"
                    : "");
  if (!r.drill.empty()) fmt::print(stderr, "{}", drill_text(r.drill));
  if (!r.warm.empty()) fmt::print(stderr, "{}: {}\n", what, warm_text(r.warm));
}

struct TunedPlan {
  TuneReport report;
  std::int64_t id = 0;  // in the store
};

TunedPlan tune_plan(TuningSession& session, const TuneRequest& request, const std::optional<TuneReport>& baseline,
                    PlanStore& store) {
  TunedPlan tuned{.report = tune_once(session, request)};
  Plan& plan = tuned.report.plan;
  print_report("plan", tuned.report);
  fmt::print(stderr, "{}: {:.1f} us {}\n", plan.key.variant, plan.figures.latency_us, provenance_name(plan.provenance));
  if (baseline) {
    plan.figures.baseline_latency_us = baseline->plan.figures.latency_us;
    plan.figures.baseline_steps = static_cast<int>(baseline->plan.steps.size());
  }
  tuned.id = store.put(plan);
  return tuned;
}

struct TunedModes {
  std::vector<TunedPlan> plans;
  std::size_t best = 0;
  bool goal_met = true;

  const TunedPlan& chosen() const { return plans.at(best); }
};

TunedModes tune_modes(TuningSession& session, TuneRequest request, const TuneFlags& flags,
                      const std::optional<TuneReport>& baseline, PlanStore& store) {
  TunedModes tuned;
  std::vector<PlanPoint> points;
  for (const ExecutionMode mode : modes_of(flags)) {
    request.mode = mode;
    tuned.plans.push_back(tune_plan(session, request, baseline, store));
    points.push_back(tuned.plans.back().report.point);
    if (tuned.plans.back().report.interrupted) break;
  }
  const GoalChoice choice = choose_point(request.goal, points);
  tuned.best = choice.index;
  tuned.goal_met = choice.met;
  // The last run decides which of the device's plans is run: the one of its goal, or the fastest there is.
  store.prefer(tuned.chosen().id, request.goal != Goal{});
  return tuned;
}

// Of the plans that could take the tuned one's place.
std::vector<ParetoGroup> pareto_beside(const PlanStore& store, const Plan& plan) {
  std::vector<ParetoGroup> groups = pareto_groups(store.sessions(), plan.key.model);
  std::erase_if(groups, [&](const ParetoGroup& group) {
    return group.device != device_text(plan.key.device) || group.batch != plan.key.batch ||
           group.precision != dtype_name(plan.key.precision) || group.provenance != plan.provenance ||
           group.text_length != text_length_of(plan.key.variant);
  });
  return groups;
}

nlohmann::json modes_json(const TunedModes& tuned) {
  nlohmann::json modes;
  for (const TunedPlan& plan : tuned.plans) {
    const PlanPoint& point = plan.report.point;
    nlohmann::json& mode = modes[std::string(execution_mode_name(plan.report.plan.mode))];
    mode = {{"plan_id", plan.id}, {"latency_us", point.latency_us}, {"memory_bytes", point.memory_bytes}};
    if (point.energy_mj > 0) mode["energy_mj"] = point.energy_mj;
  }
  return modes;
}

void print_result(const TunedModes& tuned, const std::vector<ParetoGroup>& pareto, const StoreFlags& store) {
  const TuneReport& report = tuned.chosen().report;
  fmt::print("{}\n", describe_plan(report.plan));
  if (report.prediction_error)
    fmt::print("predicted {:.0f} us {}\n", report.plan.figures.latency_us, describe(*report.prediction_error));
  for (const ParetoGroup& group : pareto) fmt::print("{}", pareto_text(group));
  fmt::print("stored as plan {} in {}\n", tuned.chosen().id, store.database.string());
}

void require_goal_met(const TunedModes& tuned, const Goal& goal, const StoreFlags& store) {
  if (tuned.goal_met) return;
  const TunedPlan& nearest = tuned.chosen();
  fail(ErrorKind::no_result,
       "no plan that was tried is within the limits: the nearest, {}, has {}; it is stored as plan {} in {}; raise the "
       "limit, or tune with --mode all",
       nearest.report.plan.key.variant, miss_text(goal, nearest.report.point), nearest.id, store.database.string());
}

void tune(const TuneFlags& flags, const GlobalFlags& global) {
  if (flags.drill_seed && flags.isolation == "none")
    fail(ErrorKind::usage, "--drill-faults plants faults that end a process: not with --isolation none");
  Target target = open_target(flags.target,
                              {.processes = flags.isolation == "process",
                               .timeout_s = flags.candidate_timeout_s,
                               .obey_faults = flags.drill_seed.has_value()},
                              flags.hog_gbps);
  if (flags.drill_seed && !target.device)
    fail(ErrorKind::usage, "--drill-faults needs a target that runs candidates: auto or emulator, not '{}'",
         target.name);
  const TuneRequest request = make_request(flags, target);
  require_meter(request.goal, target.device.get(), target.name);
  PlanStore store = PlanStore::open(flags.store.database, PlanStore::Mode::tune);
  TuningSession session(target.device.get(), target.compiler.get(), store);
  session.set_stop_flag(catch_interrupts());
  std::optional<PlanStore> elsewhere;
  if (flags.warm_from == "none") {
    session.set_warm_store(nullptr);
  } else if (flags.warm_from != "auto") {
    session.set_warm_store(&elsewhere.emplace(PlanStore::open(flags.warm_from, PlanStore::Mode::read_only)));
  }
  nlohmann::json out;
  std::optional<TuneReport> baseline;
  if (!flags.no_baseline) {
    baseline = tune_once(session, baseline_of(request));
    print_report("baseline", *baseline);
    out["baseline"] = report_json(*baseline);
  }
  const TunedModes tuned = tune_modes(session, request, flags, baseline, store);
  const std::vector<ParetoGroup> pareto = pareto_beside(store, tuned.chosen().report.plan);
  if (global.json) {
    out["modes"] = modes_json(tuned);
    out["tuned"] = report_json(tuned.chosen().report);
    out["plan_id"] = tuned.chosen().id;
    out["goal_met"] = tuned.goal_met;
    out["pareto"] = pareto_json(pareto);
    fmt::print("{}\n", out.dump(2));
  } else {
    print_result(tuned, pareto, flags.store);
  }
  require_goal_met(tuned, request.goal, flags.store);
}

}  // namespace

void add_tune_command(CLI::App& app, const GlobalFlags& global) {
  CLI::App* command = app.add_subcommand("tune", "Search kernels and schedule for a target; store the best plan");
  auto flags = std::make_shared<TuneFlags>();
  add_flags(*command, *flags);
  command->footer(
      "Ctrl-C keeps what was found.\n"
      "Exits with 6 when no plan is within --max-latency-us and --max-memory-mb: the nearest is stored.\n"
      "Example: duet tune clip-vit-b32 --target jetson-orin-nx-16gb@25W --space quick");
  command->callback([flags, &global] { tune(*flags, global); });
}

}  // namespace duet
