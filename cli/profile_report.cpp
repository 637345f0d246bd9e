#include "cli/profile_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tuner/stats.h"

namespace duet {
namespace {

constexpr std::size_t kKernelsShown = 20;

double untraced_median_us(const Recording& recording) {
  return recording.untraced_us.empty() ? 0 : median(recording.untraced_us);
}

std::string whole_text(const Profile& profile) {
  const ProfileFigures& f = profile.figures;
  return fmt::format(
      "{} replays traced; the one of median span: span {:.1f} us, busy {:.1f} us, idle {:.1f} %, two towers at once "
      "{:.1f} %\nuntraced, event-timed: median {:.1f} us\n",
      profile.match.replays.size(), f.span_us, f.busy_us, 100 * f.idle_share(), 100 * f.overlap_share(),
      untraced_median_us(profile.recording));
}

std::string tower_table(const ProfileFigures& figures) {
  std::string text = fmt::format("\n{:<16}{:>8}{:>10}{:>10}{:>10}{:>10}{:>10}\n", "tower", "kernels", "start us",
                                 "busy us", "idle us", "span us", "floor us");
  for (const TowerFigures& t : figures.towers) {
    text += fmt::format("{:<16}{:>8}{:>10.1f}{:>10.1f}{:>10.1f}{:>10.1f}{:>10.1f}\n", t.tower, t.kernels, t.start_us,
                        t.busy_us, t.idle_us, t.span_us, t.floor_us);
  }
  return text;
}

std::string kernel_table(const ProfileFigures& figures) {
  std::string text = fmt::format("\n{:<36}{:>6}{:>10}{:>9}{:>12}{:>10}{:>7}{:>8}  {}\n", "steps", "count", "total us",
                                 "mean us", "exposed us", "floor us", "ratio", "gap us", "kernel");
  const std::size_t shown = std::min(figures.kernels.size(), kKernelsShown);
  for (std::size_t i = 0; i < shown; ++i) {
    const KernelFigures& k = figures.kernels[i];
    text += fmt::format("{:<36}{:>6}{:>10.1f}{:>9.2f}{:>12.2f}{:>10.2f}{:>7.1f}{:>8.2f}  {}\n", k.name, k.count,
                        k.total_us, k.mean_us, k.exposed_us, k.floor_us, k.ratio, k.gap_us, k.entry);
  }
  if (shown < figures.kernels.size())
    text += fmt::format("... and {} more: --json has them all\n", figures.kernels.size() - shown);
  return text;
}

nlohmann::json towers_json(const ProfileFigures& figures) {
  nlohmann::json out = nlohmann::json::array();
  for (const TowerFigures& t : figures.towers) {
    out.push_back({{"tower", t.tower},
                   {"kernels", t.kernels},
                   {"start_us", t.start_us},
                   {"busy_us", t.busy_us},
                   {"idle_us", t.idle_us},
                   {"span_us", t.span_us},
                   {"floor_us", t.floor_us}});
  }
  return out;
}

nlohmann::json kernels_json(const ProfileFigures& figures) {
  nlohmann::json out = nlohmann::json::array();
  for (const KernelFigures& k : figures.kernels) {
    out.push_back({{"name", k.name},
                   {"kernel", k.entry},
                   {"count", k.count},
                   {"total_us", k.total_us},
                   {"mean_us", k.mean_us},
                   {"exposed_us", k.exposed_us},
                   {"gap_us", k.gap_us},
                   {"floor_us", k.floor_us},
                   {"ratio", k.ratio}});
  }
  return out;
}

nlohmann::json steps_json(const Plan& plan, const Replay& replay) {
  const std::vector<StreamCost> costs = stream_costs(plan, replay);
  nlohmann::json out = nlohmann::json::array();
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    out.push_back({{"name", plan.steps[i].name},
                   {"tower", plan.steps[i].tower},
                   {"stream", plan.steps[i].stream},
                   {"kernel", kernel_of(plan, plan.steps[i]).entry},
                   {"start_us", replay.slices[i].start_us},
                   {"end_us", replay.slices[i].end_us},
                   {"exposed_us", costs[i].exposed_us},
                   {"gap_us", costs[i].gap_us},
                   {"floor_us", plan.steps[i].floor_us}});
  }
  return out;
}

}  // namespace

std::string profile_text(const Profile& profile) {
  return fmt::format("{} ({})\n", profile.about.at("plan"), provenance_name(profile.plan.provenance)) +
         whole_text(profile) + tower_table(profile.figures) + kernel_table(profile.figures);
}

nlohmann::json profile_json(const Profile& profile) {
  const ProfileFigures& f = profile.figures;
  const StepMatch& match = profile.match;
  return {
      {"about", profile.about},
      {"provenance", provenance_name(profile.plan.provenance)},
      {"replays",
       {{"whole", match.replays.size()},
        {"incomplete", match.incomplete_replays},
        {"unmatched", match.unmatched_replays}}},
      {"records",
       {{"kept", profile.recording.kernels.records.size()},
        {"dropped", profile.recording.kernels.dropped},
        {"foreign", match.foreign_records},
        {"untimed", match.untimed_records}}},
      {"untraced_us", {{"median", untraced_median_us(profile.recording)}, {"samples", profile.recording.untraced_us}}},
      {"span_us", f.span_us},
      {"span_us_samples", f.span_us_samples},
      {"busy_us", f.busy_us},
      {"overlap_us", f.overlap_us},
      {"idle_share", f.idle_share()},
      {"overlap_share", f.overlap_share()},
      {"towers", towers_json(f)},
      {"kernels", kernels_json(f)},
      {"steps", steps_json(profile.plan, median_replay(match.replays))}};
}

}  // namespace duet
