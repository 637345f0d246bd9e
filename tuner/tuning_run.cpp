#include "tuner/tuning_run.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "tuner/block_spread.h"
#include "tuner/elapsed.h"
#include "tuner/pairing.h"
#include "tuner/repeatability.h"
#include "tuner/session_log.h"
#include "tuner/weight_prefetch.h"

namespace duet {
namespace {

constexpr auto kProgressInterval = std::chrono::milliseconds(100);
constexpr int kIdenticalRuns = 100;  // of the plan, a few milliseconds each with their outputs

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

}  // namespace

TuningRun::TuningRun(Device* device, KernelCompiler* compiler, PlanStore& store, const TuneRequest& request,
                     const std::function<void(const TuneProgress&)>& observer, const std::atomic<bool>* stop,
                     const PlanStore* warm_store)
    : device_(device),
      store_(store),
      request_(request),
      observer_(observer),
      stop_(stop),
      start_(Clock::now()),
      divided_(divide_graph(device, request.device, request.mode, request.graph, request.rules, request.space)),
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

TuneReport TuningRun::run() {
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

void TuningRun::search() {
  make_tuners();
  tune_all();
  finish_untuned();
  show("plan", "", true);
  for (const auto& tuner : tuners_) chosen_.push_back(tuner->winner()->kernel);
  tried_ = TriedPlans(chosen_);
  note_choices();
  std::optional<EarlierSchedule> earlier = earlier_schedule();
  const std::optional<ScheduleCut> cut = earlier ? find_cut(earlier->plan.figures.environment) : std::nullopt;
  if (earlier && is_settled(cut, request_.schedule_plans, schedule_budget_s())) return reuse(std::move(earlier->plan));
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

Plan TuningRun::finished(Plan plan, const std::vector<ChosenKernel>& kernels, const ScheduleVariant& variant) const {
  return tools_.measurer != nullptr ? launch_variant(std::move(plan), kernels, variant)
                                    : paired(std::move(plan), kernels);
}

void TuningRun::make_tuners() {
  show("compile", "", true);
  for (std::size_t group : problems_.group)
    tuners_.push_back(
        std::make_unique<KernelTuner>(fused_.graph, lowering_.groups[group], request_.space, tools_of(group), counts_));
  for (const auto& tuner : tuners_) tuner->prepare();
}

const TunerTools& TuningRun::tools_of(std::size_t group) const {
  const std::vector<StreamShare> streams = division_.streams();
  const int sms = streams.empty() ? 0 : streams[static_cast<std::size_t>(order_.stream[group])].sms;
  return sms > 0 ? parts_.at(sms)->tools() : tools_;
}

Provenance TuningRun::provenance() const {
  if (device_ == nullptr) return Provenance::predicted;
  return tools_.measurer != nullptr ? Provenance::measured : Provenance::emulated;
}

PlanKey TuningRun::key() const {
  return plan_key(request_.graph, request_.rules, request_.mode, fingerprint_, request_.text_length);
}

Plan TuningRun::make_plan(const std::vector<ChosenKernel>& kernels, int first_share) const {
  Plan plan = build_plan({.graph = fused_.graph,
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

std::optional<PredictionError> TuningRun::predicted_error(const Plan& plan) const {
  return tools_.measurer != nullptr ? std::nullopt : prediction_error(plan, request_.device);
}

void TuningRun::check_plan() {
  if (device_ == nullptr) return;
  show("verify", "the whole plan", true);
  const auto start = Clock::now();
  const Verification result = verify_plan(*device_, report_.plan, fused_.graph, lowering_, request_.seed);
  counts_.verify_s += seconds_since(start);
  if (result.status != VerificationStatus::ok)
    fail(ErrorKind::no_result, "the plan of '{}' ({}) is not right although each kernel alone is: {}: {}",
         request_.graph.name, report_.plan.key.variant, verification_status_name(result.status), result.detail);
  require_identical_runs();
  log_at(2, "plan verified: lowest cosine {:.6f}, norm error {:.2e}, worst element {:.2e}", result.min_cosine,
         result.norm_error, result.element_error);
}

void TuningRun::require_identical_runs() {
  if (!timer_) return;
  const Repeatability result = timer_->repeat(report_.plan, kIdenticalRuns);
  if (result.different > 0)
    fail(ErrorKind::no_result,
         "the plan of '{}' ({}) is right and does not repeat: {} of {} runs differ from the first, {}: report this",
         request_.graph.name, report_.plan.key.variant, result.different, result.runs, result.difference);
}

Plan TuningRun::launch_variant(Plan plan, const std::vector<ChosenKernel>& kernels,
                               const ScheduleVariant& variant) const {
  for (PlanKernel& kernel : plan.kernels) kernel.programmatic_launch = variant.early_launch;
  if (variant.prefetch) add_weight_prefetch(plan, weight_prefetch_limit(fingerprint_));
  plan = with_launch_order(paired(std::move(plan), kernels), variant.order);
  if (variant.spread) plan = spread_blocks(std::move(plan), request_.device);
  return variant.priority >= 0 ? with_priority(plan, variant.priority) : plan;
}

Plan TuningRun::paired(Plan plan, const std::vector<ChosenKernel>& kernels) const {
  if (request_.mode != ExecutionMode::paired) return plan;
  std::vector<KernelCandidate> candidates;
  for (std::size_t i = 0; i < lowering_.groups.size(); ++i) {
    const ChosenKernel& kernel = kernels[static_cast<std::size_t>(problems_.problem_of_group[i])];
    candidates.push_back(make_candidate(lowering_.groups[i].spec, kernel.tile, request_.device));
  }
  return pair_towers(plan, candidates, request_.device,
                     [&](const KernelSource& source) { return compile_pair(source); });
}

std::optional<std::vector<KernelImage>> TuningRun::compile_pair(const KernelSource& source) const {
  std::vector<KernelImage> images;
  if (!pool_) return images;
  const CompileResult result = pool_->submit(source, request_.device.arch).get();
  if (!result.ok) {
    log_at(1, "two steps run by themselves: '{}' does not compile for {}: {}", source.entry, request_.device.arch,
           result.log);
    return std::nullopt;
  }
  images.push_back(result.image);
  return images;
}

void TuningRun::measure_plan() {
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

void TuningRun::fill_report() {
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

void TuningRun::show(const char* phase, const std::string& problem, bool force) {
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

double TuningRun::left_s() const {
  if (request_.budget_s > 0) return std::max(0.0, request_.budget_s - seconds_since(start_));
  const double current =
      progress_.candidates_total > 0
          ? std::min(1.0, static_cast<double>(progress_.candidates_done) / progress_.candidates_total)
          : 0;
  const double done = progress_.kernels_done + (progress_.kernels_done < progress_.kernels_total ? current : 0);
  if (done <= 0) return 0;
  return seconds_since(start_) / done * (progress_.kernels_total - done);
}

}  // namespace duet
