#include "cli/bench_processes.h"

#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "bench/process_group.h"
#include "bench/ready_engine.h"
#include "cli/stand_in.h"
#include "cli/target.h"
#include "runtime/engine.h"
#include "tuner/stats.h"

namespace duet {
namespace {

using Clock = std::chrono::steady_clock;

// A plan with its device, in the process that runs it.
struct Loaded {
  Target target;
  std::unique_ptr<Engine> engine;
};

Loaded load(const ProcessBench& request, const Graph& graph, const PlanChoice& choice) {
  Loaded loaded{.target = open_target(request.target), .engine = nullptr};
  if (!loaded.target.device || !loaded.target.device->info().can_measure)
    fail(ErrorKind::missing, "'{}' cannot be timed here: a GPU and its driver are needed", request.target);
  const Plan plan = choice.find(graph, loaded.target.name, *loaded.target.device, request.variant);
  const auto weights = load_weights(graph, {}, request.seed);
  loaded.engine = ready_engine(*loaded.target.device, plan, *weights, load_inputs(graph, {}, request.seed));
  return loaded;
}

std::vector<double> run_for(Engine& engine, double seconds) {
  std::vector<double> samples_us;
  const Clock::time_point end =
      Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  Clock::time_point begin = Clock::now();
  while (begin < end) {
    engine.run();
    const Clock::time_point done = Clock::now();
    samples_us.push_back(std::chrono::duration<double, std::micro>(done - begin).count());
    begin = done;
  }
  return samples_us;
}

// One tower, or the whole model when `tower` is empty.
ProcessWork work_of(const ProcessBench& request, const std::string& tower) {
  PlanChoice choice = request.plan;
  choice.graph.tower = tower;
  return [request, choice] {
    const auto loaded = std::make_shared<Loaded>(load(request, choice.graph.load(), choice));
    return [loaded, seconds = request.seconds] { return nlohmann::json(run_for(*loaded->engine, seconds)).dump(); };
  };
}

ProcessFigures figures_of(const std::string& model, const std::string& beside, const std::string& result,
                          double seconds) {
  const auto samples_us = nlohmann::json::parse(result).get<std::vector<double>>();
  return {.model = model,
          .beside = beside,
          .median_us = median(samples_us),
          .p99_us = percentile(samples_us, 0.99),
          .runs_per_s = static_cast<double>(samples_us.size()) / seconds};
}

std::vector<std::string> separate_towers(const Graph& graph) {
  std::vector<std::string> towers = find_towers(graph).names;
  std::erase(towers, "joint");
  return towers;
}

std::string all_but(const std::vector<std::string>& towers, const std::string& one) {
  std::vector<std::string> others = towers;
  std::erase(others, one);
  return fmt::format("{}", fmt::join(others, " "));
}

}  // namespace

std::vector<ProcessFigures> time_processes(const ProcessBench& request) {
  if (!request.plan.graph.tower.empty() || request.plan.id != 0)
    fail(ErrorKind::usage, "--processes-s runs every tower's plan: leave out --tower and --plan");
  const Graph graph = request.plan.graph.load();
  const std::vector<std::string> towers = separate_towers(graph);
  std::vector<ProcessFigures> all;
  std::vector<ProcessWork> works;
  for (const std::string& tower : towers) {
    works.push_back(work_of(request, tower));
    all.push_back(figures_of(graph.name + "." + tower, "", run_in_processes({works.back()}).at(0), request.seconds));
  }
  const std::vector<std::string> together = run_in_processes(works);
  for (std::size_t i = 0; i < towers.size(); ++i)
    all.push_back(figures_of(graph.name + "." + towers[i], all_but(towers, towers[i]), together[i], request.seconds));
  all.push_back(figures_of(graph.name, "", run_in_processes({work_of(request, "")}).at(0), request.seconds));
  return all;
}

nlohmann::json process_figures_json(const std::vector<ProcessFigures>& figures) {
  nlohmann::json out = nlohmann::json::array();
  for (const ProcessFigures& one : figures)
    out.push_back({{"model", one.model},
                   {"beside", one.beside},
                   {"median_us", one.median_us},
                   {"p99_us", one.p99_us},
                   {"runs_per_s", one.runs_per_s}});
  return out;
}

void print_process_figures(const std::vector<ProcessFigures>& figures) {
  fmt::print("{:<40}{:<16}{:>12}{:>12}{:>10}\n", "process", "beside", "median us", "p99 us", "runs/s");
  for (const ProcessFigures& one : figures)
    fmt::print("{:<40}{:<16}{:>12.1f}{:>12.1f}{:>10.1f}\n", one.model, one.beside.empty() ? "nothing" : one.beside,
               one.median_us, one.p99_us, one.runs_per_s);
}

}  // namespace duet
