#include "profile/trace_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "profile/figures.h"

namespace duet {
namespace {

using nlohmann::json;

constexpr int kProcess = 1;

// Where a step's slice goes: the first lane of its tower that is free when it starts.
struct Placement {
  std::vector<int> lane;             // by step, within its tower
  std::map<std::string, int> lanes;  // by tower: how many it needs
};

std::vector<std::size_t> steps_by_start(const Replay& replay) {
  std::vector<std::size_t> order(replay.slices.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return replay.slices[a].start_us < replay.slices[b].start_us; });
  return order;
}

Placement place(const Plan& plan, const Replay& replay) {
  Placement placement{.lane = std::vector<int>(plan.steps.size()), .lanes = {}};
  std::map<std::string, std::vector<double>> free_us;  // by tower and lane: when its last slice ends
  for (const std::size_t step : steps_by_start(replay)) {
    const StepSlice& slice = replay.slices[step];
    std::vector<double>& lanes = free_us[plan.steps[step].tower];
    const auto free = std::find_if(lanes.begin(), lanes.end(), [&](double us) { return us <= slice.start_us; });
    const auto lane = free - lanes.begin();
    if (free == lanes.end()) lanes.push_back(0);
    lanes[static_cast<std::size_t>(lane)] = slice.end_us;
    placement.lane[step] = static_cast<int>(lane);
    placement.lanes[plan.steps[step].tower] = static_cast<int>(lanes.size());
  }
  return placement;
}

std::string grid_text(const GridSize& grid) { return fmt::format("{}x{}x{}", grid.x, grid.y, grid.z); }

json slice_event(const Plan& plan, std::size_t step, const StepSlice& slice, const StreamCost& cost, int track) {
  const PlanStep& planned = plan.steps[step];
  const PlanKernel& kernel = kernel_of(plan, planned);
  return {{"ph", "X"},
          {"pid", kProcess},
          {"tid", track},
          {"ts", slice.start_us},
          {"dur", slice.duration_us()},
          {"name", planned.name},
          {"cat", kernel.family},
          {"args",
           {{"step", step},
            {"kernel", kernel.entry},
            {"config", kernel.config_text},
            {"grid", grid_text(planned.grid)},
            {"block", grid_text(slice.block)},
            {"registers", slice.registers},
            {"smem_bytes", slice.smem_bytes},
            {"stream", planned.stream},
            {"floor_us", planned.floor_us},
            {"exposed_us", cost.exposed_us},
            {"gap_us", cost.gap_us}}}};
}

json name_event(const char* what, int track, const std::string& name) {
  return {{"ph", "M"}, {"pid", kProcess}, {"tid", track}, {"name", what}, {"args", {{"name", name}}}};
}

json order_event(int track) {
  return {
      {"ph", "M"}, {"pid", kProcess}, {"tid", track}, {"name", "thread_sort_index"}, {"args", {{"sort_index", track}}}};
}

json counter_event(const Level& level) {
  return {{"ph", "C"},
          {"pid", kProcess},
          {"ts", level.at_us},
          {"name", "towers running"},
          {"args", {{"towers", level.running}}}};
}

// Names the tracks of each tower, and gives the number of its first.
std::map<std::string, int> add_tracks(const Plan& plan, const Placement& placement, json& events) {
  std::map<std::string, int> first_track;
  int track = 1;
  for (const std::string& tower : tower_names(plan)) {
    first_track[tower] = track;
    for (int lane = 0; lane < placement.lanes.at(tower); ++lane, ++track) {
      events.push_back(name_event("thread_name", track, lane == 0 ? tower : tower + " (launched early)"));
      events.push_back(order_event(track));
    }
  }
  return first_track;
}

}  // namespace

std::string trace_file_text(const Plan& plan, const Replay& replay, const std::map<std::string, std::string>& about) {
  const Placement placement = place(plan, replay);
  const std::vector<StreamCost> costs = stream_costs(plan, replay);
  json events = json::array({name_event("process_name", 0, plan.key.model)});
  const std::map<std::string, int> first_track = add_tracks(plan, placement, events);
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const int track = first_track.at(plan.steps[i].tower) + placement.lane[i];
    events.push_back(slice_event(plan, i, replay.slices[i], costs[i], track));
  }
  for (const Level& level : towers_running(plan, replay)) events.push_back(counter_event(level));
  const json file{{"traceEvents", std::move(events)}, {"displayTimeUnit", "ns"}, {"otherData", about}};
  // Names come from a file: what is no UTF-8 is replaced.
  return file.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace duet
