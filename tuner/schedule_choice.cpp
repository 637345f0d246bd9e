#include "tuner/schedule_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "tuner/elapsed.h"

namespace duet {
namespace {

// Six engines of one plan in one memory were within 0.4 and 0.8% of each other: a smaller gain is not the kernel's.
constexpr double kPlanTie = 0.01;
constexpr int kSamplesPerTurn = 8;
constexpr int kMaxRounds = 16;
constexpr double kHopeless = 0.02;      // slower after two turns: not worth the others
constexpr std::size_t kMostShares = 7;  // of the SMs, timed in one walk

RaceOptions race_options(bool only_gains) {
  return {.tie = kPlanTie,
          .samples_per_turn = kSamplesPerTurn,
          .max_rounds = kMaxRounds,
          .only_gains = only_gains,
          .hopeless = kHopeless};
}

}  // namespace

std::vector<ScheduleVariant> launch_variants(const ScheduleVariant& like, bool may_spread) {
  std::vector<ScheduleVariant> variants;
  const auto add = [&](bool early_launch, bool spread) {
    for (const bool prefetch : {false, true}) {
      ScheduleVariant& variant = variants.emplace_back(like);
      variant.early_launch = early_launch;
      variant.prefetch = prefetch;
      variant.spread = spread;
    }
  };
  add(true, false);
  if (may_spread) add(true, true);
  add(false, false);
  return variants;
}

std::vector<ScheduleVariant> variants_like(const Plan& plan) {
  ScheduleVariant like;
  for (std::size_t stream = 0; stream < plan.streams.size(); ++stream)
    if (plan.streams[stream].priority > 0) like.priority = static_cast<int>(stream);
  if (plan.streams.size() > 1) like.first_share = plan.streams[1].sms;
  std::vector<ScheduleVariant> variants;
  for (const LaunchOrder order : {LaunchOrder::graph, LaunchOrder::reversed, LaunchOrder::turns}) {
    like.order = order;
    for (const ScheduleVariant& variant : launch_variants(like, true)) variants.push_back(variant);
  }
  return variants;
}

std::string variant_text(const ScheduleVariant& variant) {
  std::string text =
      fmt::format("{} launches, {}{}", variant.early_launch ? "early" : "plain", variant.spread ? "spread, " : "",
                  variant.prefetch ? "weights prefetched" : "no prefetch");
  if (variant.order == LaunchOrder::reversed) text += ", the second tower first";
  if (variant.order == LaunchOrder::turns) text += ", by turns";
  if (variant.priority >= 0) text += fmt::format(", priority for stream {}", variant.priority);
  if (variant.first_share > 0) text += fmt::format(", {} SMs for the first tower", variant.first_share);
  return text;
}

ScheduleChoice::ScheduleChoice(PlanTimer& timer, MakePlan make_plan, ScheduleLimits limits)
    : timer_(timer),
      make_plan_(std::move(make_plan)),
      limits_(std::move(limits)),
      start_(std::chrono::steady_clock::now()) {}

bool ScheduleChoice::may_go_on() {
  if (!within_budget()) return false;
  if (limits_.max_plans <= 0 || plans_ < limits_.max_plans) return true;
  note_plans_limit();
  return false;
}

std::size_t ScheduleChoice::allowed_of(std::size_t alternatives) {
  if (limits_.max_plans <= 0) return alternatives;
  const auto left = static_cast<std::size_t>(limits_.max_plans - plans_);
  if (left < alternatives) note_plans_limit();
  return std::min(left, alternatives);
}

void ScheduleChoice::note_plans_limit() {
  cut_ = {.by = ScheduleCut::By::plans, .limit = static_cast<double>(limits_.max_plans)};
}

bool ScheduleChoice::within_budget() {
  if (!unless_stopped()) return false;
  if (limits_.budget_s <= 0 || seconds_since(start_) < limits_.budget_s) return true;
  cut_ = {.by = ScheduleCut::By::budget, .limit = limits_.budget_s};
  return false;
}

bool ScheduleChoice::unless_stopped() {
  if (!limits_.stopped()) return true;
  cut_ = {.by = ScheduleCut::By::stop};
  return false;
}

void ScheduleChoice::tell(const std::vector<ChosenKernel>& kernels, const ScheduleVariant& variant, const Plan& plan,
                          const RaceEntry& entry) const {
  if (observer_ && !entry.failed && entry.median_us > 0) observer_(kernels, variant, plan, entry.median_us);
}

// Where memory does not take all of them, the best so far meets the next ones. Of a race that was stopped the first.
std::size_t ScheduleChoice::race_variants(const std::vector<ChosenKernel>& kernels,
                                          const std::vector<ScheduleVariant>& variants,
                                          const std::function<bool()>& go_on) {
  std::vector<Plan> plans;
  for (const ScheduleVariant& variant : variants) plans.push_back(make_plan_(kernels, variant));
  const std::size_t at_once = std::min(plans.size(), timer_.plans_at_once(plans.front()));
  std::size_t best = 0;
  for (std::size_t next = 1; next < plans.size();) {
    std::vector<std::size_t> runners{best};
    while (runners.size() < at_once && next < plans.size()) runners.push_back(next++);
    std::vector<Plan> racing;
    for (const std::size_t runner : runners) racing.push_back(plans[runner]);
    const RaceResult result = timer_.race(racing, race_options(false), go_on);
    for (std::size_t i = 0; i < runners.size(); ++i) {
      log_at(1, "{}: {:.1f} us{}", variant_text(variants[runners[i]]), result.entries[i].median_us,
             result.entries[i].tie ? ", a tie" : "");
      tell(kernels, variants[runners[i]], racing[i], result.entries[i]);
    }
    if (result.entries[result.winner].failed)
      fail(ErrorKind::device, "the whole plan cannot be measured: {}", timer_.last_failure());
    best = runners[result.winner];
  }
  return best;
}

// Not ended by the budget: without an answer here there is no plan.
ScheduleVariant ScheduleChoice::choose_variant(const std::vector<ChosenKernel>& kernels, const ScheduleVariant& like,
                                               bool may_spread) {
  const std::vector<ScheduleVariant> variants = launch_variants(like, may_spread);
  return variants[race_variants(kernels, variants, [&] { return unless_stopped(); })];
}

// The first is what there is.
ScheduleVariant ScheduleChoice::choose_gain(const std::vector<ChosenKernel>& kernels,
                                            const std::vector<ScheduleVariant>& variants) {
  if (variants.size() < 2 || !may_go_on()) return variants.front();
  plans_ += static_cast<int>(variants.size()) - 1;
  return variants[race_variants(kernels, variants, [&] { return within_budget(); })];
}

ScheduleVariant ScheduleChoice::choose_share(const std::vector<ChosenKernel>& kernels, const ScheduleVariant& like,
                                             const std::vector<int>& shares) {
  ScheduleVariant best = like;
  std::vector<int> directions{1, -1};
  for (std::size_t timed = 1; timed < kMostShares;) {
    const auto place = std::find(shares.begin(), shares.end(), best.first_share) - shares.begin();
    std::vector<ScheduleVariant> runners{best};
    for (const int direction : directions) {
      const auto next = place + direction;
      if (next < 0 || next >= static_cast<std::ptrdiff_t>(shares.size())) continue;
      runners.push_back(best);
      runners.back().first_share = shares[static_cast<std::size_t>(next)];
    }
    const ScheduleVariant chosen = choose_gain(kernels, runners);
    if (chosen == best) break;
    directions = {chosen.first_share > best.first_share ? 1 : -1};
    best = chosen;
    timed += runners.size() - 1;
  }
  return best;
}

ScheduleVariant ScheduleChoice::choose_streams(const std::vector<ChosenKernel>& kernels, const ScheduleVariant& like,
                                               int stream_count) {
  if (stream_count < 2) return like;
  std::vector<ScheduleVariant> variants{like};
  for (const LaunchOrder order : {LaunchOrder::graph, LaunchOrder::reversed, LaunchOrder::turns}) {
    if (order == like.order) continue;
    variants.push_back(like);
    variants.back().order = order;
  }
  const ScheduleVariant ordered = choose_gain(kernels, variants);
  if (like.first_share > 0) return ordered;
  variants = {ordered};
  for (int stream = 0; stream < stream_count; ++stream) {
    variants.push_back(ordered);
    variants.back().priority = stream;
  }
  return choose_gain(kernels, variants);
}

std::optional<ScheduleChoice::Turn> ScheduleChoice::choose_kernel(const std::vector<ChosenKernel>& kernels,
                                                                  std::size_t problem,
                                                                  const std::vector<ChosenKernel>& alternatives,
                                                                  const ScheduleVariant& variant) {
  std::vector<std::vector<ChosenKernel>> trials{kernels};
  for (const ChosenKernel& alternative : alternatives) {
    trials.push_back(kernels);
    trials.back()[problem] = alternative;
  }
  return choose_kernels(trials, variant);
}

std::optional<ScheduleChoice::Turn> ScheduleChoice::choose_kernels(const std::vector<std::vector<ChosenKernel>>& trials,
                                                                   const ScheduleVariant& variant) {
  if (trials.size() < 2 || !may_go_on()) return std::nullopt;
  std::vector<Plan> plans{make_plan_(trials.front(), variant)};
  const std::size_t fitting = std::min(trials.size(), timer_.plans_at_once(plans.front())) - 1;
  for (const std::vector<ChosenKernel>& kernels : std::span(trials).subspan(1, allowed_of(fitting)))
    plans.push_back(make_plan_(kernels, variant));
  plans_ += static_cast<int>(plans.size()) - 1;
  const RaceResult result = timer_.race(plans, race_options(true), [&] { return within_budget(); });
  for (std::size_t i = 0; i < plans.size(); ++i) tell(trials[i], variant, plans[i], result.entries[i]);
  if (result.end == RaceEnd::stopped) return std::nullopt;
  if (result.entries[result.winner].failed)
    fail(ErrorKind::device, "the whole plan cannot be measured: {}", timer_.last_failure());
  Turn turn{.chosen = result.winner};
  for (const RaceEntry& entry : result.entries) turn.plans_us.push_back(entry.failed ? 0 : entry.median_us);
  if (turn.chosen > 0 && !gains_again(plans.front(), plans[turn.chosen])) turn.chosen = 0;
  return turn;
}

// The best of many is often the luckiest: two engines of one plan differ by up to a percent, for as long as they live.
// Both are made anew, in another order.
bool ScheduleChoice::gains_again(const Plan& before, const Plan& better) {
  const RaceResult result = timer_.race({before, better}, race_options(true), [&] { return within_budget(); });
  if (result.end == RaceEnd::stopped) return false;
  const bool gains = result.winner == 1;
  if (!gains)
    log_at(2, "a gain that was not seen again: {:.1f} us, {:.1f} before", result.entries[1].median_us,
           result.entries[0].median_us);
  return gains;
}

}  // namespace duet
