// `duet spaces transfer`: how much of a search another device's results save, judged on recorded spaces of both.
#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/data_files.h"
#include "cli/spaces_commands.h"
#include "tuner/stats.h"
#include "tuner/transfer.h"

namespace duet {
namespace {

struct TransferFlags {
  std::filesystem::path from, to;
  std::string calibration;
  TransferOptions options;
};

struct Column {
  const char* name;
  Regrets TransferResult::*regrets;
};
constexpr Column kColumns[] = {
    {"warm", &TransferResult::warm}, {"model", &TransferResult::model}, {"random", &TransferResult::random}};

FactorsOf factors_of(const std::string& file, const std::string& arch) {
  const std::filesystem::path path =
      file.empty() ? find_calibration(data_dir() / "calibration", arch) : std::filesystem::path(file);
  const Calibration calibration = path.empty() ? Calibration{} : load_calibration(path);
  return [calibration](std::string_view family) {
    const FamilyCalibration* found = calibration.find(family);
    return found == nullptr ? CostFactors{} : found->factors;
  };
}

nlohmann::json result_json(const TransferResult& result) {
  nlohmann::json out = {{"problem", result.problem},
                        {"from_problem", result.from_problem},
                        {"candidates", result.candidates},
                        {"shared", result.shared}};
  for (const Column& column : kColumns) out[column.name] = result.*column.regrets;
  return out;
}

void print_row(const std::string& name, const std::vector<const TransferResult*>& results) {
  constexpr double kPercent = 100, kP90 = 0.9;
  for (const Column& column : kColumns) {
    fmt::print("{:<12}{:>8}  {:<8}", column.name == kColumns[0].name ? name : "",
               column.name == kColumns[0].name ? std::to_string(results.size()) : "", column.name);
    for (std::size_t i = 0; i < kTransferTrials.size(); ++i) {
      std::vector<double> regrets;
      for (const TransferResult* result : results) regrets.push_back((result->*column.regrets)[i] - 1);
      fmt::print("{:>8.1f}%{:>6.1f}%{:>6.1f}%", kPercent * median(regrets), kPercent * percentile(regrets, kP90),
                 kPercent * percentile(regrets, 1));
    }
    fmt::print("\n");
  }
}

void print_table(const std::vector<TransferResult>& results, const TransferFlags& flags) {
  fmt::print("{:<12}{:>8}  {:<8}", "", "", "");
  for (const std::size_t trials : kTransferTrials) fmt::print("{:>22}", fmt::format("first {}", trials));
  fmt::print("\n{:<12}{:>8}  {:<8}", "family", "problems", "order");
  for (std::size_t i = 0; i < kTransferTrials.size(); ++i) fmt::print("{:>9}{:>7}{:>6}", "median", "p90", "most");
  fmt::print("\n");
  std::map<std::string, std::vector<const TransferResult*>> by_family;
  for (const TransferResult& result : results) {
    by_family[result.family].push_back(&result);
    by_family["~all"].push_back(&result);
  }
  for (const auto& [family, members] : by_family) print_row(family == "~all" ? "all" : family, members);
  fmt::print("slower than the best of the target's space, by the best of the first trials; spaces of {} or more\n",
             flags.options.least);
}

void judge(const TransferFlags& flags, const GlobalFlags& global) {
  const std::vector<RecordedSpaces> spaces = read_spaces_folders({flags.from, flags.to});
  const std::vector<TransferResult> results =
      judge_transfer(spaces[0], spaces[1], factors_of(flags.calibration, spaces[1].device.arch), flags.options);
  if (results.empty())
    fail(ErrorKind::no_result, "no problem of {} has {} candidates and one that {} knows: lower --least",
         spaces[1].name, flags.options.least, spaces[0].name);
  if (!global.json) return print_table(results, flags);
  nlohmann::json out = {{"from", spaces[0].name},
                        {"to", spaces[1].name},
                        {"trials", kTransferTrials},
                        {"least_candidates", flags.options.least},
                        {"other_shapes", flags.options.other_shapes},
                        {"problems", nlohmann::json::array()}};
  for (const TransferResult& result : results) out["problems"].push_back(result_json(result));
  fmt::print("{}\n", out.dump(2));
}

}  // namespace

void add_spaces_transfer(CLI::App& spaces, const GlobalFlags& global) {
  CLI::App* command = spaces.add_subcommand(
      "transfer",
      "Judge a search on one device that begins with another's best candidates, on recorded spaces of both");
  auto flags = std::make_shared<TransferFlags>();
  command->add_option("from", flags->from, "Folder of the device whose results are known")->required();
  command->add_option("to", flags->to, "Folder of the device that is searched")->required();
  command->add_option("--calibration", flags->calibration,
                      "File for the model's order, to compare with (default: the one that ships)");
  command->add_option("--least", flags->options.least, "Timed candidates that a space of TO must have")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000000));
  command->add_flag("--other-shapes", flags->options.other_shapes,
                    "Take the nearest other problem of the family, as if each were new; FROM may then be TO");
  command->footer("Example: duet spaces transfer results/spaces/NVIDIA_*_132_SMs_* results/spaces/NVIDIA_*_16_SMs_*");
  command->callback([flags, &global] { judge(*flags, global); });
}

}  // namespace duet
