// `duet tune`: search kernels and schedule for one model on one target, and store the best plan.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/drill_report.h"
#include "cli/interrupt.h"
#include "cli/mode_hint.h"
#include "cli/pareto_report.h"
#include "cli/plan_json.h"
#include "cli/progress.h"
#include "cli/target.h"
#include "cli/tune_flags.h"
#include "cli/warm_report.h"
#include "runtime/plan_match.h"
#include "runtime/text_length.h"
#include "tuner/candidate_log.h"
#include "tuner/plan_builder.h"
#include "tuner/tuning_session.h"

namespace duet {
namespace {

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

// Of a mode that would be worth trying; empty where it was, or there is none.
std::string untried_hint(const TuneRequest& request, const Plan& plan, const Device* device, const PlanStore& store) {
  const std::string hint = device == nullptr ? "" : divide_hint(plan, device->info());
  if (hint.empty()) return "";
  const PlanKey divided =
      plan_key(request.graph, request.rules, ExecutionMode::partition, plan.key.device, request.text_length);
  return match_plan(divided, store.list()).kind == MatchKind::exact ? "" : hint;
}

void print_result(const TunedModes& tuned, const std::vector<ParetoGroup>& pareto, const std::string& hint,
                  const StoreFlags& store) {
  const TuneReport& report = tuned.chosen().report;
  fmt::print("{}\n", describe_plan(report.plan));
  if (report.prediction_error)
    fmt::print("predicted {:.0f} us {}\n", report.plan.figures.latency_us, describe(*report.prediction_error));
  for (const ParetoGroup& group : pareto) fmt::print("{}", pareto_text(group));
  if (!hint.empty()) fmt::print("{}\n", hint);
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
    const Plan& plan = tuned.chosen().report.plan;
    print_result(tuned, pareto, untried_hint(request, plan, target.device.get(), store), flags.store);
  }
  require_goal_met(tuned, request.goal, flags.store);
}

}  // namespace

void add_tune_command(CLI::App& app, const GlobalFlags& global) {
  CLI::App* command = app.add_subcommand("tune", "Search kernels and schedule for a target; store the best plan");
  auto flags = std::make_shared<TuneFlags>();
  add_tune_flags(*command, *flags);
  command->footer(
      "Ctrl-C keeps what was found.\n"
      "Exits with 6 when no plan is within --max-latency-us and --max-memory-mb: the nearest is stored.\n"
      "Example: duet tune clip-vit-b32 --target jetson-orin-nx-16gb@25W --space quick");
  command->callback([flags, &global] { tune(*flags, global); });
}

}  // namespace duet
