// `duet spaces fit` and `duet spaces judge`: calibrate the cost model on recorded spaces, and say how well it predicts.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>

#include "base/error.h"
#include "base/file.h"
#include "cli/calibrated.h"
#include "cli/data_files.h"
#include "cli/spaces_commands.h"
#include "cli/version.h"
#include "tuner/calibration_fit.h"
#include "tuner/model_judge.h"

namespace duet {
namespace {

constexpr double kPercent = 100;

struct JudgeFlags {
  std::vector<std::filesystem::path> folders;
  std::string calibration = kShippedCalibration;
  int least = kLeastJudged;
  bool by_space = false;
};

std::string today() {
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return fmt::format("{:%Y-%m-%d}", fmt::gmtime(now));
}

nlohmann::json error_json(const ModelError& e) {
  return {{"median", e.median},
          {"p90", e.p90},
          {"rank_correlation", e.rank_correlation},
          {"spaces", e.spaces},
          {"candidates", e.candidates}};
}

nlohmann::json calibration_json(const Calibration& calibration) {
  nlohmann::json out = {{"arch", calibration.arch},         {"date", calibration.date},
                        {"commit", calibration.commit},     {"spaces", calibration.spaces},
                        {"held_out", calibration.held_out}, {"families", nlohmann::json::object()}};
  for (const auto& [name, family] : calibration.families) {
    nlohmann::json factors;
    for (const CostFactorField& field : kCostFactorFields)
      factors[std::string(field.name)] = family.factors.*field.member;
    out["families"][name] = {{"factors", std::move(factors)}, {"held_out_error", error_json(family.held_out)}};
  }
  return out;
}

void print_calibration(const Calibration& calibration) {
  fmt::print("errors are of {} that were left out of a fit\n{:<12}{:>8}{:>12}{:>14}{:>12}{:>18}\n",
             calibration.held_out, "family", "spaces", "candidates", "median error", "p90 error", "rank correlation");
  for (const auto& [name, family] : calibration.families) {
    const ModelError& e = family.held_out;
    fmt::print("{:<12}{:>8}{:>12}{:>13.1f}%{:>11.1f}%{:>18.2f}\n", name, e.spaces, e.candidates, kPercent * e.median,
               kPercent * e.p90, e.rank_correlation);
  }
}

void fit_spaces(const std::vector<std::filesystem::path>& folders, const std::filesystem::path& output,
                const GlobalFlags& global) {
  Calibration calibration = fit_calibration(read_spaces_folders(folders));
  calibration.date = today();
  calibration.commit = built_commit();
  publish_file(output, calibration_yaml(calibration));
  if (global.json) return fmt::print("{}\n", calibration_json(calibration).dump(2));
  print_calibration(calibration);
  fmt::print("wrote {}\n", output.string());
}

nlohmann::json family_json(const FamilyJudgement& j) {
  return {{"family", j.family},
          {"spaces", j.spaces},
          {"candidates", j.candidates},
          {"mean_rank_correlation", j.mean_correlation},
          {"median_rank_correlation", j.median_correlation},
          {"least_rank_correlation", j.least_correlation},
          {"pooled_rank_correlation", j.pooled_correlation},
          {"top10_spaces", j.top_spaces},
          {"top10_within_5_percent", j.top_hits},
          {"random10_within_5_percent", j.random_hits},
          {"median_error", j.median_error},
          {"p90_error", j.p90_error}};
}

nlohmann::json space_json(const SpaceJudgement& j) {
  return {{"device", j.device},
          {"problem", j.problem},
          {"candidates", j.candidates},
          {"rank_correlation", j.rank_correlation},
          {"top10_over_best", j.top_over_best}};
}

void print_families(std::span<const FamilyJudgement> families, int least) {
  fmt::print("{:<12}{:>7}{:>11}  {:<30}{:>16}{:>9}{:>15}\n", "", "", "", "rank correlation", "first ten", "", "error");
  fmt::print("{:<12}{:>7}{:>11}{:>7}{:>8}{:>8}{:>8}{:>17}{:>9}{:>8}{:>7}\n", "family", "spaces", "candidates", "mean",
             "median", "least", "pooled", "within 5%", "random", "median", "p90");
  for (const FamilyJudgement& j : families)
    fmt::print("{:<12}{:>7}{:>11}{:>7.2f}{:>8.2f}{:>8.2f}{:>8.2f}{:>17}{:>9.1f}{:>7.0f}%{:>6.0f}%\n", j.family,
               j.spaces, j.candidates, j.mean_correlation, j.median_correlation, j.least_correlation,
               j.pooled_correlation, fmt::format("{} of {}", j.top_hits, j.top_spaces), j.random_hits,
               kPercent * j.median_error, kPercent * j.p90_error);
  fmt::print("of spaces with {} timed candidates or more; the first ten of those with {} or more\n", least,
             kLeastForTop);
}

void judge(const JudgeFlags& flags, const GlobalFlags& global) {
  const std::vector<RecordedSpaces> folders = read_spaces_folders(flags.folders);
  const std::shared_ptr<const Calibration> chosen = chosen_calibration(flags.calibration, folders.front().device.arch);
  const Calibration calibration = chosen == nullptr ? Calibration{} : *chosen;
  const auto factors = [&](std::string_view family) {
    const FamilyCalibration* found = calibration.find(family);
    return found == nullptr ? CostFactors{} : found->factors;
  };
  const std::vector<SpaceJudgement> spaces = judge_spaces(folders, factors, flags.least);
  if (spaces.empty())
    fail(ErrorKind::no_result, "no space of these folders has {} timed candidates: lower --least", flags.least);
  const std::vector<FamilyJudgement> families = judge_families(spaces);
  if (!global.json) {
    if (flags.by_space)
      for (const SpaceJudgement& s : spaces)
        fmt::print("{:>6.2f}{:>8.3f}{:>6}  {}\n", s.rank_correlation, s.top_over_best, s.candidates, s.problem);
    return print_families(families, flags.least);
  }
  nlohmann::json out = {{"calibration", {{"date", calibration.date}, {"fitted_on", calibration.spaces}}},
                        {"least_candidates", flags.least}};
  for (const FamilyJudgement& family : families) out["families"].push_back(family_json(family));
  for (const SpaceJudgement& space : spaces) out["spaces"].push_back(space_json(space));
  fmt::print("{}\n", out.dump(2));
}

}  // namespace

std::vector<RecordedSpaces> read_spaces_folders(const std::vector<std::filesystem::path>& folders) {
  std::vector<RecordedSpaces> read;
  for (const std::filesystem::path& folder : folders) {
    read.push_back(read_recorded_spaces(folder, data_dir() / "devices"));
    for (const std::string& skipped : read.back().skipped) fmt::print(stderr, "left out: {}\n", skipped);
  }
  return read;
}

void add_spaces_fit(CLI::App& spaces, const GlobalFlags& global) {
  CLI::App* command =
      spaces.add_subcommand("fit", "Calibrate the cost model on recorded spaces, with the error on what was left out");
  auto folders = std::make_shared<std::vector<std::filesystem::path>>();
  auto output = std::make_shared<std::filesystem::path>("calibration.yaml");
  command->add_option("folders", *folders, "Folders of one device each, as `duet spaces export` writes them")
      ->required();
  command->add_option("--output", *output, "File for the calibration")->capture_default_str();
  command->footer("Example: duet spaces fit results/spaces/NVIDIA_* --output calibration/default.yaml");
  command->callback([folders, output, &global] { fit_spaces(*folders, *output, global); });
}

void add_spaces_judge(CLI::App& spaces, const GlobalFlags& global) {
  CLI::App* command = spaces.add_subcommand("judge", "Compare the cost model's predictions with recorded spaces");
  auto flags = std::make_shared<JudgeFlags>();
  command->add_option("folders", flags->folders, "Folders of one device each, as `duet spaces export` writes them")
      ->required();
  command
      ->add_option("--calibration", flags->calibration,
                   "What to predict with: shipped, a calibration file, or none for the bare formula")
      ->capture_default_str();
  command->add_option("--least", flags->least, "Timed candidates that a space must have to be judged")
      ->capture_default_str()
      ->check(CLI::Range(2, 1000000));
  command->add_flag("--by-space", flags->by_space,
                    "A line for each space too: rank correlation, first ten over best, candidates");
  command->footer("Example: duet spaces judge results/spaces/NVIDIA_* --calibration calibration.yaml");
  command->callback([flags, &global] { judge(*flags, global); });
}

}  // namespace duet
