#include "tuner/tuning_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "codegen/step_schedule.h"
#include "runtime/engine.h"
#include "runtime/weight_loading.h"
#include "tuner/elapsed.h"
#include "tuner/kernel_tuner.h"
#include "tuner/pairing.h"
#include "tuner/repeatability.h"
#include "tuner/session_log.h"
#include "tuner/synthetic_inputs.h"
#include "tuner/weight_prefetch.h"

namespace duet {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kProgressInterval = std::chrono::milliseconds(100);
constexpr StoppingRule kPlanRule{.min_samples = 20, .max_samples = 500, .max_uncertainty = 0.01, .budget_us = 2e6};
// Of plans that differ in one kernel: many replays, since the differences are small.
constexpr StoppingRule kContextRule{.min_samples = 40, .max_samples = 100, .max_uncertainty = 0.003, .budget_us = 1e5};
constexpr double kContextGain = 0.004;  // a choice must gain more than the noise of two medians
constexpr double kContextBudgetS = 25, kContextBudgetShare = 0.25;  // of a run's budget, where it has one
constexpr int kPlanWarmUp = 5;
constexpr int kIdenticalRuns = 100;  // of the plan, a few milliseconds each with their outputs
constexpr int kPlanSamplesPerRound = 20;

// The distinct problems of a lowering.
struct Problems {
  std::vector<std::size_t> group;     // by problem: the first group that poses it
  std::vector<int> uses;              // by problem: groups that pose it
  std::vector<int> problem_of_group;  // by group
};

Problems find_problems(const Lowering& lowering) {
  Problems problems;
  std::map<std::string, int> known;
  for (std::size_t i = 0; i < lowering.groups.size(); ++i) {
    const auto [found, inserted] =
        known.emplace(problem_text(lowering.groups[i].spec), static_cast<int>(problems.group.size()));
    if (inserted) {
      problems.group.push_back(i);
      problems.uses.push_back(0);
    }
    ++problems.uses[static_cast<std::size_t>(found->second)];
    problems.problem_of_group.push_back(found->second);
  }
  return problems;
}

DeviceFingerprint request_fingerprint(const Device* device, const TuneRequest& request) {
  if (device == nullptr) return fingerprint_of(request.device, request.target);
  DeviceFingerprint fingerprint = device->info().fingerprint;
  fingerprint.target = request.target;
  return fingerprint;
}

// One run of the session: owns what lives as long as that.
class Run {
 public:
  Run(Device* device, KernelCompiler* compiler, PlanStore& store, const TuneRequest& request,
      const std::function<void(const TuneProgress&)>& observer, const std::atomic<bool>* stop)
      : device_(device),
        store_(store),
        request_(request),
        observer_(observer),
        stop_(stop),
        start_(Clock::now()),
        lowering_(lower(request.graph, fuse(request.graph, request.rules))),
        order_(request.mode == ExecutionMode::sequential ? schedule_sequential(lowering_)
                                                         : schedule_streams(lowering_)),
        problems_(find_problems(lowering_)),
        fingerprint_(request_fingerprint(device, request)) {
    if (lowering_.groups.empty()) fail(ErrorKind::input, "graph '{}' has nothing to run", request.graph.name);
    if (device == nullptr && compiler == nullptr)
      fail(ErrorKind::missing, "tuning for '{}' needs a kernel compiler or a device", request.target);
    tools_.device = device;
    tools_.store = &store;
    tools_.spec = request.device;
    tools_.device_name = device_text(fingerprint_);
    tools_.compiler = compiler != nullptr ? compiler->version() : "host compiler";
    tools_.seed = request.seed;
    tools_.drill_seed = request.drill_seed;
    if (compiler != nullptr) {
      pool_ = std::make_unique<CompilePool>(*compiler, request.jobs);
      tools_.pool = pool_.get();
    }
    if (device != nullptr && device->info().can_measure) {
      measurer_ = std::make_unique<DeviceMeasurer>(*device, tools_.compiler);
      tools_.measurer = measurer_.get();
    }
  }

  // The store keeps a row of every run, however it ends.
  TuneReport run() {
    SessionLog session(store_, request_, tools_.device_name);
    try {
      search();
    } catch (const std::exception& error) {
      fill_report();
      session.fail(report_, error.what());
      throw;
    }
    session.finish(report_);
    return std::move(report_);
  }

 private:
  void search() {
    make_tuners();
    tune_all();
    finish_untuned();
    show("plan", "", true);
    for (const auto& tuner : tuners_) chosen_.push_back(tuner->winner()->kernel);
    note_choices();
    choose_in_context();
    Plan unpaired = make_plan(chosen_);
    unpaired.choices = choices_;
    report_.plan = paired(unpaired, chosen_);
    check_plan();
    measure_plan(unpaired);
    store_.put(report_.plan);
    fill_report();
  }

  bool stopped() const { return stop_ != nullptr && stop_->load(); }

  void make_tuners() {
    show("compile", "", true);
    for (std::size_t group : problems_.group)
      tuners_.push_back(
          std::make_unique<KernelTuner>(request_.graph, lowering_.groups[group], request_.space, tools_, counts_));
    for (const auto& tuner : tuners_) tuner->prepare();
  }

  // Those that take the largest share of the plan first, so that a budget is spent where it matters.
  std::vector<std::size_t> by_share() const {
    std::vector<double> share;
    for (std::size_t i = 0; i < tuners_.size(); ++i)
      share.push_back(tuners_[i]->best_predicted_us() * problems_.uses[i]);
    std::vector<std::size_t> order(tuners_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return share[a] > share[b]; });
    return order;
  }

  // What is left of the budget is shared equally by the kernels that are left.
  std::optional<Clock::time_point> deadline(std::size_t kernels_left) const {
    if (request_.budget_s <= 0) return std::nullopt;
    const double left_s = std::max(0.0, request_.budget_s - seconds_since(start_));
    return Clock::now() + std::chrono::duration_cast<Clock::duration>(
                              std::chrono::duration<double>(left_s / static_cast<double>(kernels_left)));
  }

  void tune_all() {
    const char* phase = tools_.measurer != nullptr ? "measure" : device_ != nullptr ? "verify" : "compile";
    const std::vector<std::size_t> order = by_share();
    for (std::size_t i = 0; i < order.size() && !stopped(); ++i) {
      KernelTuner& tuner = *tuners_[order[i]];
      progress_.best_us = 0;
      SearchLimits limits;
      limits.strategy = request_.strategy;
      limits.max_candidates = request_.max_candidates_per_kernel;
      limits.deadline = deadline(order.size() - i);
      limits.stop = stop_;
      show(phase, tuner.name(), true);
      tune_one(tuner, limits, phase);
      progress_.kernels_done = static_cast<int>(i) + 1;
      // Past a deadline, or where nothing was right, candidates may be left in the queue.
      if (pool_ && (limits.deadline || stopped())) pool_->drop_queued();
      require_winner(tuner, limits);
    }
    report_.interrupted = stopped();
  }

  void tune_one(KernelTuner& tuner, const SearchLimits& limits, const char* phase) {
    tuner.tune(limits, [&](int done, int total) {
      progress_.candidates_done = done;
      progress_.candidates_total = total;
      progress_.best_us = tuner.winner() ? tuner.winner()->time_us : 0;
      show(phase, tuner.name(), false);
    });
  }

  // A search that ended by itself without a winner ends the session; one cut short is finished later.
  void require_winner(const KernelTuner& tuner, const SearchLimits& limits) const {
    if (tuner.winner() || limits.deadline || stopped()) return;
    fail_without_winner(tuner);
  }

  [[noreturn]] void fail_without_winner(const KernelTuner& tuner) const {
    fail(ErrorKind::no_result, "kernel '{}' has no valid candidate on {}: {}", tuner.name(), request_.device.name,
         tuner.reasons());
  }

  // Kernels that the search did not reach take the first candidate in the model's order that is right.
  void finish_untuned() {
    for (const auto& tuner : tuners_) {
      if (tuner->winner()) continue;
      SearchLimits limits;
      limits.first_valid = true;
      tune_one(*tuner, limits, "verify");
      if (!tuner->winner()) fail_without_winner(*tuner);
    }
  }

  Provenance provenance() const {
    if (device_ == nullptr) return Provenance::predicted;
    return tools_.measurer != nullptr ? Provenance::measured : Provenance::emulated;
  }

  Plan make_plan(const std::vector<ChosenKernel>& kernels) const {
    Plan plan = build_plan({.graph = request_.graph,
                            .lowering = lowering_,
                            .order = order_,
                            .device = request_.device,
                            .kernels = kernels,
                            .kernel_of_group = problems_.problem_of_group,
                            .mode = request_.mode,
                            .provenance = provenance(),
                            .key = plan_key(request_.graph, request_.rules, request_.mode, fingerprint_)});
    plan.figures.environment = device_ != nullptr ? device_->environment_text() + ", " + tools_.compiler
                                                  : request_.device.module + ", " + tools_.compiler;
    plan.figures.commit = request_.commit;
    return plan;
  }

  void check_plan() {
    if (device_ == nullptr) return;
    show("verify", "the whole plan", true);
    const auto start = Clock::now();
    const Verification result = verify_plan(*device_, report_.plan, request_.graph, lowering_, request_.seed);
    counts_.verify_s += seconds_since(start);
    if (result.status != VerificationStatus::ok)
      fail(ErrorKind::no_result, "the plan of '{}' ({}) is not right although each kernel alone is: {}: {}",
           request_.graph.name, report_.plan.key.variant, verification_status_name(result.status), result.detail);
    require_identical_runs();
    log_at(2, "plan verified: lowest cosine {:.6f}, norm error {:.2e}, worst element {:.2e}", result.min_cosine,
           result.norm_error, result.element_error);
  }

  // One right result does not show a race between kernels or blocks.
  void require_identical_runs() {
    if (!device_->info().can_measure) return;
    const Workload& load = workload(report_.plan);
    const Repeatability result =
        check_repeatability(*device_, report_.plan, load.weights, load.inputs, kIdenticalRuns, load.weight_space);
    if (result.different > 0)
      fail(ErrorKind::no_result,
           "the plan of '{}' ({}) is right and does not repeat: {} of {} runs differ from the first, {}: report this",
           request_.graph.name, report_.plan.key.variant, result.different, result.runs, result.difference);
  }

  // What every choice of kernels is measured on: made once.
  struct Workload {
    RandomWeights weights;
    std::vector<std::byte> weight_space;
    std::map<std::string, HostTensor> inputs;
  };
  const Workload& workload(const Plan& plan) {
    if (!workload_) {
      workload_.emplace(Workload{
          synthetic_weights(request_.graph, request_.seed), {}, synthetic_inputs(request_.graph, request_.seed)});
      workload_->weight_space = make_weight_space(plan, workload_->weights);
    }
    return *workload_;
  }

  Measurement measure(const Plan& plan, const StoppingRule& rule) {
    const Workload& load = workload(plan);
    Engine engine(*device_, plan, load.weights, {.weight_space = load.weight_space});
    for (const auto& [name, tensor] : load.inputs) engine.set_input(name, tensor);
    engine.time_us(kPlanWarmUp, CacheState::warm);
    MeasureOptions options;
    options.rule = rule;
    options.samples_per_round = kPlanSamplesPerRound;
    return sample_until([&](int count) { return engine.time_us(count, CacheState::warm); }, options, 0);
  }

  // Each problem's winner by itself, to begin with.
  void note_choices() {
    for (std::size_t problem = 0; problem < tuners_.size(); ++problem) {
      KernelChoice& choice = choices_.emplace_back();
      choice.device = tools_.device_name;
      choice.problem = tuners_[problem]->name();
      choice.config = choice.alone_config = config_text(chosen_[problem].tile);
      choice.source_hash = source_identity(chosen_[problem].source, tools_.compiler);
      for (std::size_t group = 0; group < problems_.problem_of_group.size(); ++group)  // one step each, in this order
        if (problems_.problem_of_group[group] == static_cast<int>(problem))
          choice.steps.push_back(static_cast<int>(group));
    }
  }

  void note_choice_in_context(std::size_t problem, double alone_plan_us, double chosen_plan_us) {
    KernelChoice& choice = choices_[problem];
    choice.config = config_text(chosen_[problem].tile);
    choice.source_hash = source_identity(chosen_[problem].source, tools_.compiler);
    choice.alone_plan_us = alone_plan_us;
    choice.chosen_plan_us = chosen_plan_us;
  }

  // The kernels that are fastest alone are not always so beside the other tower's: the finalists take their turns in
  // the whole plan, the costliest problem's first, and one that makes the plan faster stays.
  void choose_in_context() {
    if (tools_.measurer == nullptr) return;
    const auto start = Clock::now();
    const double budget_s = request_.budget_s > 0 ? kContextBudgetShare * request_.budget_s : kContextBudgetS;
    double best_us = context_us(chosen_);
    const double alone_us = best_us;
    int changed = 0;
    for (const std::size_t problem : by_share()) {
      show("choose", tuners_[problem]->name(), true);
      const ChosenKernel before = chosen_[problem];
      const double before_us = best_us;
      bool compared = false;
      for (const KernelWinner& finalist : tuners_[problem]->finalists()) {
        if (stopped() || seconds_since(start) > budget_s) break;
        if (finalist.kernel.source.entry == before.source.entry) continue;
        std::vector<ChosenKernel> trial = chosen_;
        trial[problem] = finalist.kernel;
        const double trial_us = context_us(trial);
        compared = true;
        if (trial_us >= best_us * (1 - kContextGain)) continue;
        best_us = trial_us;
        chosen_ = std::move(trial);
      }
      if (compared) note_choice_in_context(problem, before_us, best_us);
      if (chosen_[problem].source.entry != before.source.entry) ++changed;
    }
    counts_.measure_s += seconds_since(start);
    log_at(1, "kernels fastest alone {:.1f} us, with {} chosen in context {:.1f} us, in {:.1f} s", alone_us, changed,
           best_us, seconds_since(start));
  }

  double context_us(const std::vector<ChosenKernel>& kernels) {
    const std::optional<Measurement> measured =
        try_measure(launch_variant(make_plan(kernels), kernels, true, true), kContextRule);
    return measured ? measured->median_us : std::numeric_limits<double>::infinity();
  }

  // Nothing when the device failed over it: a choice of kernels that hangs or faults together is one less to choose.
  std::optional<Measurement> try_measure(const Plan& plan, const StoppingRule& rule) {
    try {
      return measure(plan, rule);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::device) throw;
      warn("a choice of kernels for the whole plan is left out: {}", error.what());
      plan_failure_ = error.what();
      return std::nullopt;
    }
  }

  Plan launch_variant(Plan plan, const std::vector<ChosenKernel>& kernels, bool programmatic, bool prefetch) const {
    for (PlanKernel& kernel : plan.kernels) kernel.programmatic_launch = programmatic;
    if (prefetch) add_weight_prefetch(plan, weight_prefetch_limit(fingerprint_));
    return paired(std::move(plan), kernels);
  }

  // The plan made of `kernels` with its towers paired, where that is the mode asked for; else as it is.
  Plan paired(Plan plan, const std::vector<ChosenKernel>& kernels) const {
    if (request_.mode != ExecutionMode::paired) return plan;
    std::vector<KernelCandidate> candidates;
    for (std::size_t i = 0; i < lowering_.groups.size(); ++i) {
      const ChosenKernel& kernel = kernels[static_cast<std::size_t>(problems_.problem_of_group[i])];
      candidates.push_back(make_candidate(lowering_.groups[i].spec, kernel.tile, request_.device));
    }
    return pair_towers(plan, candidates, request_.device, [&](const KernelSource& source) { return compile(source); });
  }

  std::vector<KernelImage> compile(const KernelSource& source) const {
    if (!pool_) return {};
    const CompileResult result = pool_->submit(source, request_.device.arch).get();
    if (!result.ok)
      fail(ErrorKind::no_result, "kernel '{}' does not compile for {}: {}", source.entry, request_.device.arch,
           result.log);
    return {result.image};
  }

  // A kernel launched before its predecessor has ended hides its start and the latency of its weights, and holds SMs
  // that the other tower could use; weights asked for early hide DRAM's latency, and compete with those needed now.
  // Which weighs more is measured, on the whole plan.
  void measure_plan(const Plan& made) {
    if (tools_.measurer == nullptr) return;
    show("measure", "the whole plan", true);
    const auto start = Clock::now();
    Measurement best;
    for (const bool programmatic : {true, false}) {
      for (const bool prefetch : {true, false}) {
        Plan plan = launch_variant(made, chosen_, programmatic, prefetch);
        std::optional<Measurement> measured = try_measure(plan, kPlanRule);
        if (!measured) continue;
        Measurement measurement = std::move(*measured);
        log_at(1, "{} launches, {}: {:.1f} us", programmatic ? "programmatic" : "plain",
               prefetch ? "weights prefetched" : "no prefetch", measurement.median_us);
        if (!best.samples_us.empty() && best.median_us <= measurement.median_us) continue;
        report_.plan = std::move(plan);
        best = std::move(measurement);
      }
    }
    counts_.measure_s += seconds_since(start);
    if (best.samples_us.empty()) fail(ErrorKind::device, "the whole plan cannot be measured: {}", plan_failure_);
    report_.plan.figures.latency_us_samples = best.samples_us;
    report_.plan.figures.latency_us = best.median_us;
  }

  void fill_report() {
    report_.candidates = counts_.candidates;
    report_.compiled = counts_.compiled;
    report_.cached = counts_.cached;
    report_.verified = counts_.verified;
    report_.infeasible = counts_.infeasible;
    report_.failed = counts_.failed;
    report_.compile_s = counts_.compile_s;
    report_.verify_s = counts_.verify_s;
    report_.measure_s = counts_.measure_s;
    report_.drill = counts_.drill;
    report_.elapsed_s = seconds_since(start_);
  }

  void show(const char* phase, const std::string& problem, bool force) {
    if (!observer_) return;
    const auto now = Clock::now();
    if (!force && now - last_shown_ < kProgressInterval) return;
    last_shown_ = now;
    progress_.phase = phase;
    progress_.problem = problem;
    progress_.kernels_total = static_cast<int>(problems_.group.size());
    progress_.verified = counts_.verified;
    progress_.refused = counts_.refused + counts_.infeasible;
    progress_.failed = counts_.failed;
    progress_.cached = counts_.cached;
    progress_.elapsed_s = seconds_since(start_);
    progress_.left_s = left_s();
    observer_(progress_);
  }

  // By the kernels that are done; 0 while nothing is known.
  double left_s() const {
    if (request_.budget_s > 0) return std::max(0.0, request_.budget_s - seconds_since(start_));
    const double current =
        progress_.candidates_total > 0
            ? std::min(1.0, static_cast<double>(progress_.candidates_done) / progress_.candidates_total)
            : 0;
    const double done = progress_.kernels_done + (progress_.kernels_done < progress_.kernels_total ? current : 0);
    if (done <= 0) return 0;
    return seconds_since(start_) / done * (progress_.kernels_total - done);
  }

  Device* device_;
  PlanStore& store_;
  const TuneRequest& request_;
  const std::function<void(const TuneProgress&)>& observer_;
  const std::atomic<bool>* stop_;
  Clock::time_point start_;
  Clock::time_point last_shown_{};
  Lowering lowering_;
  StepOrder order_;
  Problems problems_;
  DeviceFingerprint fingerprint_;
  TunerTools tools_;
  std::unique_ptr<CompilePool> pool_;
  std::unique_ptr<Measurer> measurer_;
  TuneCounts counts_;
  std::vector<std::unique_ptr<KernelTuner>> tuners_;
  std::vector<ChosenKernel> chosen_;   // by problem
  std::vector<KernelChoice> choices_;  // by problem
  std::optional<Workload> workload_;
  std::string plan_failure_;
  TuneProgress progress_;
  TuneReport report_;
};

}  // namespace

TuningSession::TuningSession(Device* device, KernelCompiler* compiler, PlanStore& store)
    : device_(device), compiler_(compiler), store_(store) {}

void TuningSession::set_observer(std::function<void(const TuneProgress&)> observer) { observer_ = std::move(observer); }

void TuningSession::set_stop_flag(const std::atomic<bool>* stop) { stop_ = stop; }

TuneReport TuningSession::tune(const TuneRequest& request) {
  return Run(device_, compiler_, store_, request, observer_, stop_).run();
}

}  // namespace duet
