// `duet tune`: search kernels and schedule for one model on one target, and store the best plan.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/data_files.h"
#include "cli/drill_report.h"
#include "cli/interrupt.h"
#include "cli/plan_json.h"
#include "cli/progress.h"
#include "cli/target.h"
#include "cli/version.h"
#include "cli/warm_report.h"
#include "tuner/search.h"
#include "tuner/tuning_session.h"

namespace duet {
namespace {

constexpr const char* kAuto = "auto";

struct TuneFlags {
  GraphFlags graph;
  StoreFlags store;
  std::string target = "auto";
  std::string space = "default";
  std::string strategy = kAuto;
  std::string mode = "streams";
  std::vector<std::string> disabled_rules;
  double budget_s = 0;
  double schedule_budget_s = 0;
  int schedule_plans = 0;
  double min_gain = 0.02;
  double tie = kTie;
  int max_candidates = 0;
  int jobs = 0;
  std::uint64_t seed = 1;
  bool no_baseline = false;
  std::string warm_from = "auto";
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
                  "How candidates are chosen; auto is the portfolio where time is measured and candidates are not "
                  "limited, else the model's order")
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
      .add_option("--min-gain", flags.min_gain,
                  "A kernel's search ends when its next 100 trials are expected to gain less than this share of its "
                  "time; 0 tries all. Not with --max-candidates or --strategy exhaustive")
      ->capture_default_str()
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
  command.add_option("--mode", flags.mode, "How the towers share the device; all: a plan of each, the fastest shown")
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

TuneRequest make_request(const TuneFlags& flags, const Target& target) {
  TuneRequest request;
  request.graph = flags.graph.load();
  request.text_length = flags.graph.text_length;
  request.target = target.name;
  request.device = target.spec;
  for (const std::string& rule : flags.disabled_rules) set_fusion_rule(request.rules, rule, false);
  request.space = load_search_space(find_data_file("schedules", flags.space));
  const bool by_gain = target.device && target.device->info().can_measure && flags.max_candidates == 0;
  request.strategy = flags.strategy != kAuto ? flags.strategy : by_gain ? "portfolio" : "model_order";
  request.max_candidates_per_kernel = flags.max_candidates;
  if (by_gain && request.strategy != "exhaustive") request.min_gain = flags.min_gain;
  request.tie = flags.tie;
  request.budget_s = flags.budget_s;
  request.schedule_budget_s = flags.schedule_budget_s;
  request.schedule_plans = flags.schedule_plans;
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
  TuneRequest request = make_request(flags, target);
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
  std::optional<TunedPlan> best;
  for (const ExecutionMode mode : modes_of(flags)) {
    request.mode = mode;
    TunedPlan tuned = tune_plan(session, request, baseline, store);
    const double latency_us = tuned.report.plan.figures.latency_us;
    const bool interrupted = tuned.report.interrupted;
    out["modes"][std::string(execution_mode_name(mode))] = {{"plan_id", tuned.id}, {"latency_us", latency_us}};
    if (!best || latency_us < best->report.plan.figures.latency_us) best = std::move(tuned);
    if (interrupted) break;
  }
  out["tuned"] = report_json(best->report);
  out["plan_id"] = best->id;
  if (global.json) {
    fmt::print("{}\n", out.dump(2));
  } else {
    const TuneReport& report = best->report;
    fmt::print("{}\n", describe_plan(report.plan));
    if (report.prediction_error)
      fmt::print("predicted {:.0f} us {}\n", report.plan.figures.latency_us, describe(*report.prediction_error));
    fmt::print("stored as plan {} in {}\n", best->id, flags.store.database.string());
  }
}

}  // namespace

void add_tune_command(CLI::App& app, const GlobalFlags& global) {
  CLI::App* command = app.add_subcommand("tune", "Search kernels and schedule for a target; store the best plan");
  auto flags = std::make_shared<TuneFlags>();
  add_flags(*command, *flags);
  command->footer(
      "Ctrl-C keeps what was found.\nExample: duet tune clip-vit-b32 --target jetson-orin-nx-16gb@25W --space quick");
  command->callback([flags, &global] { tune(*flags, global); });
}

}  // namespace duet
