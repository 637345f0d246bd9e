// `duet spaces`: list what was tried and timed of each problem, write it as recorded spaces, and learn from them.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/gzip.h"
#include "cli/command.h"
#include "cli/spaces_commands.h"
#include "runtime/plan_store.h"
#include "tuner/recorded_space.h"

namespace duet {
namespace {

nlohmann::json space_json(const CandidateSpace& space) {
  return {{"device", space.device}, {"problem", space.problem}, {"candidates", space.candidates},
          {"timed", space.timed},   {"failed", space.failed},   {"best_us", space.best_us}};
}

void print_list(const std::vector<CandidateSpace>& spaces, const std::filesystem::path& database) {
  if (spaces.empty())
    fmt::print("{}: no candidates yet; `duet tune MODEL --target auto` tries some\n", database.string());
  std::string device;
  for (const CandidateSpace& space : spaces) {
    if (space.device != device) {
      fmt::print("{}{}\n{:>10}{:>8}{:>8}{:>12}  {}\n", device.empty() ? "" : "\n", space.device, "candidates", "timed",
                 "failed", "best us", "problem");
      device = space.device;
    }
    fmt::print("{:>10}{:>8}{:>8}{:>12}  {}\n", space.candidates, space.timed, space.failed,
               space.timed > 0 ? fmt::format("{:.2f}", space.best_us) : "-", space.problem);
  }
}

void add_list(CLI::App& spaces, const std::shared_ptr<StoreFlags>& store, const GlobalFlags& global) {
  CLI::App* list = spaces.add_subcommand("list", "Devices, problems, candidates and the best time of each");
  store->add_to(*list);
  list->footer("Example: duet spaces list --db duet.db");
  list->callback([store, &global] {
    const std::vector<CandidateSpace> found = PlanStore::open(store->database, PlanStore::Mode::read_only).spaces();
    if (!global.json) return print_list(found, store->database);
    nlohmann::json out = nlohmann::json::array();
    for (const CandidateSpace& space : found) out.push_back(space_json(space));
    fmt::print("{}\n", out.dump(2));
  });
}

std::filesystem::path write_space(const CandidateSpace& space, const PlanStore& store,
                                  const std::filesystem::path& output) {
  const std::filesystem::path folder = output / recorded_space_file_name(space.device);
  const std::filesystem::path path = folder / (recorded_space_file_name(space.problem) + ".csv.gz");
  std::filesystem::create_directories(folder);
  publish_file(path, gzip(recorded_space_csv(make_recorded_space(store.candidates(space.device, space.problem)))));
  return path;
}

void export_spaces(const std::filesystem::path& database, const std::filesystem::path& output,
                   const GlobalFlags& global) {
  const PlanStore store = PlanStore::open(database, PlanStore::Mode::read_only);
  nlohmann::json written = nlohmann::json::array();
  for (const CandidateSpace& space : store.spaces()) {
    if (space.timed == 0) continue;
    nlohmann::json file = space_json(space);
    file["file"] = write_space(space, store, output).string();
    written.push_back(std::move(file));
  }
  if (written.empty())
    fail(ErrorKind::no_result, "{}: no candidate of it was timed: tune with a GPU (--target auto) first",
         database.string());
  if (global.json) return fmt::print("{}\n", written.dump(2));
  fmt::print("wrote {} recorded space{} to {}\n", written.size(), written.size() == 1 ? "" : "s", output.string());
}

void add_export(CLI::App& spaces, const std::shared_ptr<StoreFlags>& store, const GlobalFlags& global) {
  CLI::App* command =
      spaces.add_subcommand("export", "Write a .csv.gz for each device and problem: parameters, time, cost, status");
  auto output = std::make_shared<std::filesystem::path>("spaces");
  store->add_to(*command);
  command->add_option("--output", *output, "Folder for the files; one of the device is made in it")
      ->capture_default_str();
  command->footer("Example: duet spaces export --db duet.db --output results/spaces");
  command->callback([store, output, &global] { export_spaces(store->database, *output, global); });
}

}  // namespace

void add_spaces_command(CLI::App& app, const GlobalFlags& global) {
  CLI::App* command = app.add_subcommand(
      "spaces", "List or export what tuning measured of every candidate; calibrate and judge predictions");
  command->require_subcommand(1);
  auto store = std::make_shared<StoreFlags>();
  add_list(*command, store, global);
  add_export(*command, store, global);
  add_spaces_fit(*command, global);
  add_spaces_judge(*command, global);
  add_spaces_transfer(*command, global);
}

}  // namespace duet
