#include "tuner/tuning_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "runtime/plan_memory.h"
#include "tuner/budget.h"
#include "tuner/co_execution.h"
#include "tuner/elapsed.h"
#include "tuner/kernel_tuner.h"
#include "tuner/pairing.h"
#include "tuner/plan_timer.h"
#include "tuner/repeatability.h"
#include "tuner/schedule_choice.h"
#include "tuner/session_log.h"
#include "tuner/sm_division.h"
#include "tuner/tried_plans.h"
#include "tuner/weight_prefetch.h"

namespace duet {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kProgressInterval = std::chrono::milliseconds(100);
constexpr StoppingRule kPlanRule{.min_samples = 20, .max_samples = 500, .max_uncertainty = 0.01, .budget_us = 2e6};
// What the schedule may take, unless it is told; of a run's budget, where it has one, and the kernels get the rest.
constexpr double kScheduleBudgetS = 25, kScheduleBudgetShare = 0.25;
constexpr std::size_t kAlternatives = 3;  // of a kernel, tried in the whole plan
// A kernel of less than an average share of the plan's time is given up at a gain as much higher, up to this.
constexpr double kMaxGainFactor = 10;
// Of a budget: less is not worth another search. And what the kernel of the largest gain gets at least of the rest.
constexpr double kLeastRest = 0.03, kLeastPart = 0.25;
constexpr int kIdenticalRuns = 100;  // of the plan, a few milliseconds each with their outputs

// The distinct problems of a lowering.
struct Problems {
  std::vector<std::size_t> group;     // by problem: the first group that poses it
  std::vector<int> uses;              // by problem: groups that pose it
  std::vector<int> problem_of_group;  // by group
};

// `parts`: streams with SMs of their own, whose problems are tuned there.
Problems find_problems(const Lowering& lowering, const StepOrder& order, std::span<const StreamShare> parts) {
  Problems problems;
  std::map<std::pair<std::string, int>, int> known;  // by problem and SMs
  for (std::size_t i = 0; i < lowering.groups.size(); ++i) {
    const int sms = parts.empty() ? 0 : parts[static_cast<std::size_t>(order.stream[i])].sms;
    const auto [found, inserted] =
        known.emplace(std::pair(problem_text(lowering.groups[i].spec), sms), static_cast<int>(problems.group.size()));
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

// Whether both run the same kernels in the same way; figures and what they were chosen over do not count.
bool same_execution(Plan a, Plan b) {
  for (Plan* plan : {&a, &b}) {
    plan->figures = {};
    plan->choices.clear();
    for (PlanStep& step : plan->steps) step.predicted_us = step.floor_us = step.measured_us = 0;
  }
  return a == b;
}

// A stored plan that can be built again, and how.
struct EarlierSchedule {
  Plan plan{};
  std::vector<ChosenKernel> kernels{};
  ScheduleVariant variant{};
};

// One run of the session: owns what lives as long as that.
class Run {
 public:
  Run(Device* device, KernelCompiler* compiler, PlanStore& store, const TuneRequest& request,
      const std::function<void(const TuneProgress&)>& observer, const std::atomic<bool>* stop,
      const PlanStore* warm_store)
      : device_(device),
        store_(store),
        request_(request),
        observer_(observer),
        stop_(stop),
        start_(Clock::now()),
        lowering_(lower(request.graph, fuse(request.graph, request.rules))),
        order_(order_steps(lowering_, request.mode)),
        division_(divide_device(device, request.device, request.mode, lowering_, order_)),
        problems_(find_problems(lowering_, order_, division_.streams())),
        fingerprint_(request_fingerprint(device, request)) {
    if (lowering_.groups.empty()) fail(ErrorKind::input, "graph '{}' has nothing to run", request.graph.name);
    if (device == nullptr && compiler == nullptr)
      fail(ErrorKind::missing, "tuning for '{}' needs a kernel compiler or a device", request.target);
    require_meter(request.goal, device, request.target);
    tools_.device = device;
    tools_.store = &store;
    tools_.spec = request.device;
    tools_.device_name = device_text(fingerprint_);
    tools_.compiler = compiler != nullptr ? compiler->version() : "host compiler";
    tools_.seed = request.seed;
    tools_.tie = request.tie;
    tools_.reference = &request_.reference;
    tools_.drill_seed = request.drill_seed;
    if (compiler != nullptr) {
      pool_ = std::make_unique<CompilePool>(*compiler, request.jobs);
      tools_.pool = pool_.get();
    }
    if (device != nullptr && device->info().can_measure) {
      measurer_ = std::make_unique<DeviceMeasurer>(*device, tools_.compiler);
      tools_.measurer = measurer_.get();
      if (warm_store != nullptr) tools_.known = &known_.emplace(*warm_store);
    }
    for (const StreamShare& share : division_.streams())
      if (share.sms > 0) parts_.emplace(share.sms, std::make_unique<PartTools>(tools_, fingerprint_, share.sms));
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
    tried_ = TriedPlans(chosen_);
    note_choices();
    std::optional<EarlierSchedule> earlier = earlier_schedule();
    const std::optional<ScheduleCut> cut = earlier ? find_cut(earlier->plan.figures.environment) : std::nullopt;
    if (earlier && is_settled(cut, request_.schedule_plans)) return reuse(std::move(earlier->plan));
    choose_schedule(cut && cut->by != ScheduleCut::By::plans ? &*earlier : nullptr);
    choose_by_goal();
    note_stop();
    Plan unpaired = make_plan(chosen_, variant_.first_share);
    unpaired.choices = choices_;
    if (cut_) unpaired.figures.environment += cut_text(*cut_);
    report_.plan = finished(std::move(unpaired), chosen_, variant_);
    check_plan();
    measure_plan();
    note_result();
    store_.put(report_.plan);
    fill_report();
  }

  // As it is launched; where nothing is measured, how is no choice.
  Plan finished(Plan plan, const std::vector<ChosenKernel>& kernels, const ScheduleVariant& variant) const {
    return tools_.measurer != nullptr ? launch_variant(std::move(plan), kernels, variant)
                                      : paired(std::move(plan), kernels);
  }

  bool stopped() const { return stop_ != nullptr && stop_->load(); }

  void make_tuners() {
    show("compile", "", true);
    for (std::size_t group : problems_.group)
      tuners_.push_back(std::make_unique<KernelTuner>(request_.graph, lowering_.groups[group], request_.space,
                                                      tools_of(group), counts_));
    for (const auto& tuner : tuners_) tuner->prepare();
  }

  // Of the SMs that a group is tuned on.
  const TunerTools& tools_of(std::size_t group) const {
    const std::vector<StreamShare> streams = division_.streams();
    const int sms = streams.empty() ? 0 : streams[static_cast<std::size_t>(order_.stream[group])].sms;
    return sms > 0 ? parts_.at(sms)->tools() : tools_;
  }

  // What a problem's kernels take of the plan's time, as the model tells before anything was timed.
  double time_in_plan_us(std::size_t problem) const {
    return tuners_[problem]->best_predicted_us() * problems_.uses[problem];
  }

  // Those that take the largest share of the plan first, so that a budget is spent where it matters.
  std::vector<std::size_t> by_share() const {
    std::vector<std::size_t> order(tuners_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return time_in_plan_us(a) > time_in_plan_us(b); });
    return order;
  }

  // Of a budget, for the kernels. The schedule's part is kept for it.
  double kernels_left_s() const {
    const double kernels_s = tools_.measurer != nullptr ? request_.budget_s - schedule_budget_s() : request_.budget_s;
    return std::max(0.0, kernels_s - seconds_since(start_));
  }

  static Clock::time_point in_seconds(double seconds) {
    return Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  }

  // Of the first of the problems that are left.
  std::optional<Clock::time_point> deadline(std::span<const std::size_t> problems_left) const {
    if (request_.budget_s <= 0) return std::nullopt;
    std::vector<double> times_us;
    for (const std::size_t problem : problems_left) times_us.push_back(time_in_plan_us(problem));
    return in_seconds(kernels_left_s() * first_part(times_us));
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
      limits.min_gain = min_gain(order[i]);
      limits.budget_s = request_.budget_s;
      limits.deadline = deadline(std::span(order).subspan(i));
      limits.stop = stop_;
      show(phase, tuner.name(), true);
      tuner.tune(limits, on_candidate(tuner, phase));
      progress_.kernels_done = static_cast<int>(i) + 1;
      // Past a deadline, or where nothing was right, candidates may be left in the queue.
      if (pool_ && (limits.deadline || stopped())) pool_->drop_queued();
      require_winner(tuner, limits);
    }
    spend_rest(phase);
    report_.interrupted = stopped();
  }

  // What kernels whose search came to its end left of the budget goes to those whose part was too small: to where the
  // plan is expected to gain most at a time, since trials without a record lower what is expected of the next.
  void spend_rest(const char* phase) {
    if (request_.budget_s <= 0 || tools_.measurer == nullptr) return;
    while (!stopped() && kernels_left_s() > kLeastRest * request_.budget_s) {
      std::vector<double> gains_us;
      for (std::size_t problem = 0; problem < tuners_.size(); ++problem) gains_us.push_back(gain_in_plan_us(problem));
      const auto largest = std::max_element(gains_us.begin(), gains_us.end());
      if (*largest <= 0) return;
      KernelTuner& tuner = *tuners_[static_cast<std::size_t>(largest - gains_us.begin())];
      const double part = *largest / std::accumulate(gains_us.begin(), gains_us.end(), 0.0);
      show(phase, tuner.name(), true);
      tuner.go_on(in_seconds(kernels_left_s() * std::max(part, kLeastPart)), on_candidate(tuner, phase));
      if (pool_) pool_->drop_queued();
    }
  }

  // By going on with the search of a problem that its part of the budget ended; 0 where that is not worth it.
  double gain_in_plan_us(std::size_t problem) const {
    const KernelTuner& tuner = *tuners_[problem];
    const double gain = tuner.expected_gain();
    const double time_us = tuner.winner() ? tuner.winner()->time_us : tuner.best_predicted_us();
    return gain >= min_gain(problem) ? gain * time_us * problems_.uses[problem] : 0;
  }

  // What a kernel gains, the plan gains by the kernel's share of its time.
  double min_gain(std::size_t problem) const {
    double sum_us = 0;
    for (std::size_t i = 0; i < tuners_.size(); ++i) sum_us += time_in_plan_us(i);
    const double average_us = sum_us / static_cast<double>(tuners_.size());
    const double own_us = time_in_plan_us(problem);
    return request_.min_gain * std::clamp(own_us > 0 ? average_us / own_us : 1.0, 1.0, kMaxGainFactor);
  }

  double schedule_budget_s() const {
    if (request_.schedule_budget_s > 0) return request_.schedule_budget_s;
    return request_.budget_s > 0 ? kScheduleBudgetShare * request_.budget_s : kScheduleBudgetS;
  }

  KernelTuner::OnCandidate on_candidate(const KernelTuner& tuner, const char* phase) {
    return [this, &tuner, phase](int done, int total) {
      progress_.candidates_done = done;
      progress_.candidates_total = total;
      progress_.best_us = tuner.winner() ? tuner.winner()->time_us : 0;
      show(phase, tuner.name(), false);
    };
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
      tuner->tune(limits, on_candidate(*tuner, "verify"));
      if (!tuner->winner()) fail_without_winner(*tuner);
    }
  }

  Provenance provenance() const {
    if (device_ == nullptr) return Provenance::predicted;
    return tools_.measurer != nullptr ? Provenance::measured : Provenance::emulated;
  }

  PlanKey key() const {
    return plan_key(request_.graph, request_.rules, request_.mode, fingerprint_, request_.text_length);
  }

  // `first_share`: the SMs of the first tower; 0 where they are not divided.
  Plan make_plan(const std::vector<ChosenKernel>& kernels, int first_share) const {
    Plan plan = build_plan({.graph = request_.graph,
                            .lowering = lowering_,
                            .order = order_,
                            .device = request_.device,
                            .kernels = kernels,
                            .kernel_of_group = problems_.problem_of_group,
                            .mode = request_.mode,
                            .provenance = provenance(),
                            .key = key(),
                            .streams = division_.streams_with(first_share)});
    plan.figures.environment = device_ != nullptr ? device_->environment_text() + ", " + tools_.compiler
                                                  : request_.device.module + ", " + tools_.compiler;
    if (const auto error = predicted_error(plan)) plan.figures.environment += ", predicted " + describe(*error);
    plan.figures.commit = request_.commit;
    return plan;
  }

  // Of figures that are predicted.
  std::optional<PredictionError> predicted_error(const Plan& plan) const {
    return tools_.measurer != nullptr ? std::nullopt : prediction_error(plan, request_.device);
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
    if (!timer_) return;
    const Repeatability result = timer_->repeat(report_.plan, kIdenticalRuns);
    if (result.different > 0)
      fail(ErrorKind::no_result,
           "the plan of '{}' ({}) is right and does not repeat: {} of {} runs differ from the first, {}: report this",
           request_.graph.name, report_.plan.key.variant, result.different, result.runs, result.difference);
  }

  // Each problem's winner by itself, to begin with.
  void note_choices() {
    for (std::size_t problem = 0; problem < tuners_.size(); ++problem) {
      KernelChoice& choice = choices_.emplace_back();
      choice.device = tools_of(problems_.group[problem]).device_name;
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

  // Where nothing is measured: the share with which the model expects the least latency.
  int predicted_share() const {
    if (division_.shares.empty()) return 0;
    return search_share(division_.shares, division_.first_share, static_cast<int>(division_.shares.size()),
                        [&](int share) { return make_plan(chosen_, share).figures.latency_us; })
        .share;
  }

  // Launches and prefetch, the division of the SMs, the streams' order and priority; then the kernels in that context,
  // the costliest problem's first; then launches and prefetch once more where kernels changed. What `begun`, an earlier
  // run that was cut short, has compared is not compared again.
  void choose_schedule(const EarlierSchedule* begun) {
    if (tools_.measurer == nullptr) {
      variant_.first_share = predicted_share();
      return;
    }
    show("choose", "the schedule", true);
    const auto start = Clock::now();
    timer_ = std::make_unique<PlanTimer>(*device_, request_.graph, request_.seed, measurer_->watch());
    ScheduleChoice schedule(*timer_,
                            [this](const std::vector<ChosenKernel>& kernels, const ScheduleVariant& variant) {
                              return launch_variant(make_plan(kernels, variant.first_share), kernels, variant);
                            },
                            {.budget_s = schedule_budget_s(), .max_plans = request_.schedule_plans, .stopped = [this] {
                               return stopped();
                             }});
    schedule.set_observer([this](const std::vector<ChosenKernel>& kernels, const ScheduleVariant& variant,
                                 const Plan& plan, double us) { tried_.note(kernels, variant, plan, us); });
    variant_.first_share = division_.first_share;
    if (begun != nullptr) take_up(*begun);
    // Of what an earlier run tried only its result is known: another goal than latency needs more to choose from.
    if (begun == nullptr || request_.goal != Goal{}) variant_ = schedule.choose_variant(chosen_, variant_);
    if (std::none_of(choices_.begin(), choices_.end(), was_compared)) choose_streams(schedule);
    for (const std::size_t problem : by_share())
      if (!was_compared(choices_[problem])) choose_in_context(schedule, problem);
    const auto changed = std::count_if(choices_.begin(), choices_.end(),
                                       [](const KernelChoice& choice) { return choice.config != choice.alone_config; });
    if (changed > 0 && !stopped()) variant_ = schedule.choose_variant(chosen_, variant_);
    cut_ = schedule.cut();
    counts_.measure_s += seconds_since(start);
    log_at(1, "{}; {} kernels chosen in context, in {:.1f} s{}", variant_text(variant_), changed, seconds_since(start),
           cut_ ? cut_text(*cut_) : "");
  }

  static bool was_compared(const KernelChoice& choice) { return choice.alone_plan_us > 0; }

  void choose_streams(ScheduleChoice& schedule) {
    if (!division_.shares.empty()) variant_ = schedule.choose_share(chosen_, variant_, division_.shares);
    if (request_.mode != ExecutionMode::paired)
      variant_ = schedule.choose_streams(chosen_, variant_, order_.stream_count);
  }

  // Its kernels and its variant, what its kernels were compared with, and what it costs.
  void take_up(const EarlierSchedule& begun) {
    chosen_ = begun.kernels;
    variant_ = begun.variant;
    for (std::size_t problem = 0; problem < choices_.size(); ++problem) {
      const KernelChoice& before = begun.plan.choices[problem];
      note_choice_in_context(problem, before.alone_plan_us, before.chosen_plan_us);
    }
    const PlanFigures& figures = begun.plan.figures;
    tried_.at(tried_.note(chosen_, variant_, begun.plan, figures.latency_us)).point.energy_mj = figures.energy_mj;
  }

  // Another kernel than the fastest alone, where that makes the whole plan faster.
  void choose_in_context(ScheduleChoice& schedule, std::size_t problem) {
    std::vector<ChosenKernel> alternatives;
    for (const KernelWinner& finalist : tuners_[problem]->finalists())
      if (finalist.kernel.source.entry != chosen_[problem].source.entry && alternatives.size() < kAlternatives)
        alternatives.push_back(finalist.kernel);
    show("choose", tuners_[problem]->name(), true);
    const std::optional<ScheduleChoice::Turn> turn = schedule.choose_kernel(chosen_, problem, alternatives, variant_);
    if (!turn) return;
    if (turn->chosen > 0) chosen_[problem] = alternatives[turn->chosen - 1];
    note_choice_in_context(problem, turn->before_us, turn->chosen_us);
  }

  // The races were for the least latency; what else was asked for decides among all that they timed, and a plan of less
  // memory where memory counts.
  void choose_by_goal() {
    const std::size_t fastest = note_tried(chosen_);
    const Goal& goal = request_.goal;
    if (goal.objective == Objective::memory || goal.max_memory_bytes > 0) note_leaner_plan();
    measure_energies(fastest);
    if (goal == Goal{}) return;
    const std::vector<PlanPoint> points = tried_.points();
    const TriedPlan& best = tried_.at(choose_point(goal, points).index);
    log_at(1, "for {}: {}", goal_text(goal), best.point.schedule);
    variant_ = best.variant;
    for (std::size_t problem = 0; problem < chosen_.size(); ++problem) take_kernel(problem, best.kernels[problem]);
  }

  void take_kernel(std::size_t problem, const ChosenKernel& kernel) {
    if (kernel.source.entry == chosen_[problem].source.entry) return;
    chosen_[problem] = kernel;
    note_choice_in_context(problem, 0, 0);
  }

  // In the present variant. One that no race has timed is timed now, or predicted.
  std::size_t note_tried(const std::vector<ChosenKernel>& kernels) {
    if (const auto known = tried_.find(kernels, variant_)) return *known;
    const Plan plan = finished(make_plan(kernels, variant_.first_share), kernels, variant_);
    const double latency_us = timer_ ? timer_->measure(plan, kPlanRule).median_us : plan.figures.latency_us;
    return tried_.note(kernels, variant_, plan, latency_us);
  }

  // Of the finalists, which only a device that measures leaves, where the plan of the leanest holds less than now.
  void note_leaner_plan() {
    show("choose", "a plan of less memory", true);
    std::vector<std::vector<ChosenKernel>> finalists;
    for (const auto& tuner : tuners_)
      for (finalists.emplace_back(); const KernelWinner& finalist : tuner->finalists())
        finalists.back().push_back(finalist.kernel);
    const std::vector<ChosenKernel> lean = leanest_kernels(
        chosen_, finalists,
        [this](std::size_t problem, const ChosenKernel& kernel) { return scratch_bytes(problem, kernel); });
    const auto bytes_of = [&](const std::vector<ChosenKernel>& kernels) {
      return plan_memory_bytes(make_plan(kernels, variant_.first_share));
    };
    if (bytes_of(lean) < bytes_of(chosen_)) note_tried(lean);
  }

  std::int64_t scratch_bytes(std::size_t problem, const ChosenKernel& kernel) const {
    const KernelCandidate candidate =
        make_candidate(lowering_.groups[problems_.group[problem]].spec, kernel.tile, request_.device);
    return candidate.workspace_bytes + candidate.counter_count * std::int64_t{sizeof(std::uint32_t)};
  }

  // Beyond the budget only where energy is what was asked for.
  void measure_energies(std::size_t fastest) {
    if (!timer_ || device_->energy_counter() == nullptr) return;
    const auto start = Clock::now();
    for (const std::size_t place : tried_.worth_measuring(fastest, request_.goal.objective)) {
      const bool in_time = request_.budget_s <= 0 || seconds_since(start_) < request_.budget_s;
      if (stopped() || (!in_time && request_.goal.objective != Objective::energy)) break;
      show("measure", "the energy of whole plans", true);
      measure_energy_of(tried_.at(place));
    }
    counts_.measure_s += seconds_since(start);
  }

  void measure_energy_of(TriedPlan& tried) {
    const Plan plan = finished(make_plan(tried.kernels, tried.variant.first_share), tried.kernels, tried.variant);
    try {
      tried.point.energy_mj = timer_->energy_mj(plan, tried.point.latency_us, request_.energy_s).value_or(0);
      log_at(1, "{}: {:.3f} mJ a run", tried.point.schedule, tried.point.energy_mj);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::device) throw;
      warn("the energy of a plan is not known: {}", error.what());
    }
  }

  // A stop may have left something to choose from also where no race was cut short: energies.
  void note_stop() {
    report_.interrupted = stopped();
    if (timer_ && stopped() && !cut_) cut_ = {.by = ScheduleCut::By::stop};
  }

  // What the plan costs after all, beside the others that were tried.
  void note_result() {
    PlanFigures& figures = report_.plan.figures;
    PlanPoint& point = tried_.at(tried_.note(chosen_, variant_, report_.plan, figures.latency_us)).point;
    point.chosen = true;
    report_.point = point;
    report_.points = points_worth_keeping(tried_.points());
    report_.goal_met = limit_ratio(request_.goal, point) <= 1;
    figures.energy_mj = point.energy_mj;
    figures.objective = recorded_goal(request_.goal, report_.goal_met);
  }

  // Whether it was chosen for what is asked for now.
  bool same_goal(const Plan& stored) const {
    const std::string& objective = stored.figures.objective;
    return objective == recorded_goal(request_.goal, true) || objective == recorded_goal(request_.goal, false);
  }

  void note_stored_result() {
    const PlanFigures& figures = report_.plan.figures;
    report_.point = {.provenance = report_.plan.provenance,
                     .latency_us = figures.latency_us,
                     .energy_mj = figures.energy_mj,
                     .memory_bytes = plan_memory_bytes(report_.plan),
                     .chosen = true};
    report_.goal_met = limit_ratio(request_.goal, report_.point) <= 1;
  }

  // The plan of an earlier run for the same goal, where all that would lead to it again is known: nothing was tried
  // now, its kernels were chosen over the same winners, and it is what would be built of them.
  std::optional<EarlierSchedule> earlier_schedule() {
    const bool settled = std::all_of(tuners_.begin(), tuners_.end(), [](const auto& t) { return t->was_settled(); });
    if (tools_.measurer == nullptr || !settled) return std::nullopt;
    show("plan", "from an earlier run", true);
    std::optional<Plan> stored = store_.find(key()).plan;
    if (!stored || stored->provenance != Provenance::measured || !same_goal(*stored)) return std::nullopt;
    std::optional<std::vector<ChosenKernel>> kernels = kernels_of(*stored);
    if (!kernels) return std::nullopt;
    for (const ScheduleVariant& variant : variants_like(*stored)) {
      if (!division_.has(variant.first_share)) continue;
      const Plan again = launch_variant(make_plan(*kernels, variant.first_share), *kernels, variant);
      if (same_execution(again, *stored))
        return EarlierSchedule{.plan = std::move(*stored), .kernels = std::move(*kernels), .variant = variant};
    }
    return std::nullopt;
  }

  void reuse(Plan plan) {
    report_.plan = std::move(plan);
    report_.reused = true;
    note_stored_result();
    fill_report();
  }

  // None when one of them is not among the finalists now, or was chosen over another winner.
  std::optional<std::vector<ChosenKernel>> kernels_of(const Plan& stored) const {
    if (stored.choices.size() != choices_.size()) return std::nullopt;
    std::vector<ChosenKernel> kernels;
    for (std::size_t problem = 0; problem < choices_.size(); ++problem) {
      const KernelChoice &before = stored.choices[problem], &now = choices_[problem];
      if (before.problem != now.problem || before.alone_config != now.alone_config) return std::nullopt;
      for (const KernelWinner& finalist : tuners_[problem]->finalists())
        if (config_text(finalist.kernel.tile) == before.config &&
            source_identity(finalist.kernel.source, tools_.compiler) == before.source_hash)
          kernels.push_back(finalist.kernel);
      if (kernels.size() != problem + 1) return std::nullopt;
    }
    return kernels;
  }

  Plan launch_variant(Plan plan, const std::vector<ChosenKernel>& kernels, const ScheduleVariant& variant) const {
    for (PlanKernel& kernel : plan.kernels) kernel.programmatic_launch = variant.early_launch;
    if (variant.prefetch) add_weight_prefetch(plan, weight_prefetch_limit(fingerprint_));
    plan = with_launch_order(paired(std::move(plan), kernels), variant.order);
    return variant.priority >= 0 ? with_priority(plan, variant.priority) : plan;
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

  void measure_plan() {
    if (tools_.measurer == nullptr) return;
    show("measure", "the whole plan", true);
    const auto start = Clock::now();
    Measurement measured;
    try {
      measured = timer_->measure(report_.plan, kPlanRule);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::device) throw;
      fail(ErrorKind::device, "the whole plan cannot be measured: {}", error.what());
    }
    counts_.measure_s += seconds_since(start);
    report_.plan.figures.latency_us_samples = measured.samples_us;
    report_.plan.figures.latency_us = measured.median_us;
    report_.plan.figures.environment += measurer_->watch().take_log().text();
    log_at(1, "the whole plan: {:.1f} us", measured.median_us);
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
    report_.warm = counts_.warm;
    report_.prediction_error = predicted_error(report_.plan);
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
  SmDivision division_;  // for which kernels are tuned
  Problems problems_;
  DeviceFingerprint fingerprint_;
  TunerTools tools_;
  std::unique_ptr<CompilePool> pool_;
  std::unique_ptr<Measurer> measurer_;
  std::map<int, std::unique_ptr<PartTools>> parts_;  // by SMs
  std::optional<KnownSpaces> known_;
  TuneCounts counts_;
  std::vector<std::unique_ptr<KernelTuner>> tuners_;
  std::vector<ChosenKernel> chosen_;   // by problem
  std::vector<KernelChoice> choices_;  // by problem
  std::unique_ptr<PlanTimer> timer_;   // where time is measured
  ScheduleVariant variant_;
  std::optional<ScheduleCut> cut_;  // the choice of it
  TriedPlans tried_;
  TuneProgress progress_;
  TuneReport report_;
};

}  // namespace

TuningSession::TuningSession(Device* device, KernelCompiler* compiler, PlanStore& store)
    : device_(device), compiler_(compiler), store_(store), warm_store_(&store) {}

void TuningSession::set_observer(std::function<void(const TuneProgress&)> observer) { observer_ = std::move(observer); }

void TuningSession::set_stop_flag(const std::atomic<bool>* stop) { stop_ = stop; }

void TuningSession::set_warm_store(const PlanStore* store) { warm_store_ = store; }

TuneReport TuningSession::tune(const TuneRequest& request) {
  return Run(device_, compiler_, store_, request, observer_, stop_, warm_store_).run();
}

}  // namespace duet
