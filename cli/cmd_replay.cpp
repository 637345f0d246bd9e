// `duet replay`: run search strategies on recorded spaces, and say how good they are.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "cli/calibrated.h"
#include "cli/command.h"
#include "cli/data_files.h"
#include "cli/interrupt.h"
#include "tuner/elapsed.h"
#include "tuner/recorded_problems.h"
#include "tuner/replay.h"
#include "tuner/search.h"

namespace duet {
namespace {

constexpr const char* kAll = "all";
// Of --predict: no predictions; those of the formula without a calibration.
constexpr const char* kNoPredictions = "none";
constexpr const char* kBareFormula = "formula";
// Where random search needs fewer trials than this, a score says little of a strategy.
constexpr int kTellingTrials = 100;

struct ReplayFlags {
  std::vector<std::filesystem::path> spaces;
  std::string strategy = "portfolio";
  int repeats = 25;
  std::uint64_t seed = 1;
  double min_gain = 0;
  std::filesystem::path traces;
  std::string predict = kShippedCalibration;
  bool predict_asked = false;
};

void add_flags(CLI::App& command, ReplayFlags& flags) {
  std::vector<std::string> names{kAll};
  for (const std::string_view name : strategy_names()) names.emplace_back(name);
  command.add_option("spaces", flags.spaces, "Recorded spaces: .csv or .csv.gz, as `duet spaces export` writes them")
      ->required();
  command.add_option("--strategy", flags.strategy, "How configurations are chosen; all compares them")
      ->capture_default_str()
      ->check(CLI::IsMember(names));
  constexpr int kMaxRepeats = 10000;
  command.add_option("--repeats", flags.repeats, "Runs on each space, each with a seed of its own")
      ->capture_default_str()
      ->check(CLI::Range(1, kMaxRepeats));
  command.add_option("--seed", flags.seed, "Equal seeds give equal runs")->capture_default_str();
  command
      .add_option("--min-gain", flags.min_gain,
                  "A run ends when its next 100 trials are expected to gain less than this share, as tuning does; 0 "
                  "spends the budget")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  command
      .add_option_function<std::string>(
          "--predict",
          [&flags](const std::string& asked) {
            flags.predict = asked;
            flags.predict_asked = true;
          },
          "What strategies see of the cost model, as in tuning, where a space is of kernels (as `duet spaces export` "
          "names files and folders): shipped, a calibration file, formula for none, or none for no predictions")
      ->default_str(kShippedCalibration);
  command.add_option("--traces", flags.traces, "File for every trial, one JSON line a run");
  command.footer("Example: duet replay gemm.csv.gz conv.csv.gz --strategy all --repeats 8");
}

// A line on stderr now and then, once it takes longer than one waits without asking.
class ReplayProgress {
 public:
  explicit ReplayProgress(int runs) : runs_(runs) {}
  void show(const std::string& strategy, const std::string& space) {
    constexpr double kQuietS = 2;
    ++run_;
    if (seconds_since(last_) < kQuietS) return;
    fmt::print(stderr, "replay: run {} of {}: {} on {}\n", run_, runs_, strategy, space);
    last_ = std::chrono::steady_clock::now();
  }

 private:
  int runs_, run_ = 0;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

std::vector<std::string> chosen_strategies(const std::string& asked) {
  if (asked != kAll) return {asked};
  const std::vector<std::string_view> names = strategy_names();
  return {names.begin(), names.end()};
}

struct Summary {
  double mean = 0, minimum = 0;
  int spaces = 0;
};

Summary summarise(const std::vector<ReplayResult>& results, const std::string& strategy, int least_trials) {
  Summary summary;
  for (const ReplayResult& result : results) {
    if (result.strategy != strategy || result.budget_trials < least_trials) continue;
    summary.minimum = summary.spaces == 0 ? result.score : std::min(summary.minimum, result.score);
    summary.mean += result.score;
    ++summary.spaces;
  }
  if (summary.spaces > 0) summary.mean /= summary.spaces;
  return summary;
}

// Interrupted, it returns the results that are complete.
std::vector<ReplayResult> run_all(const ReplayFlags& flags, const std::vector<ReplayedSpace>& spaces) {
  const std::atomic<bool>* stop = catch_interrupts();
  const std::vector<std::string> strategies = chosen_strategies(flags.strategy);
  ReplayProgress progress(static_cast<int>(spaces.size() * strategies.size()) * flags.repeats);
  std::vector<ReplayResult> results;
  for (const std::string& strategy : strategies) {
    for (const ReplayedSpace& space : spaces) {
      const auto go_on = [&](int) {
        progress.show(strategy, space.name);
        return !stop->load();
      };
      std::optional<ReplayResult> result = replay(space, strategy, flags.repeats, flags.seed, go_on, flags.min_gain);
      if (!result) return results;
      results.push_back(std::move(*result));
    }
  }
  return results;
}

nlohmann::json result_json(const ReplayResult& result) {
  return {{"strategy", result.strategy},
          {"space", result.space},
          {"budget_trials", result.budget_trials},
          {"budget_s", result.budget_s},
          {"score", result.score},
          {"optimum_ms", result.optimum_ms},
          {"median_found_ms", result.median_found * result.optimum_ms},
          {"worst_found_ms", result.worst_found * result.optimum_ms},
          {"median_at_5_percent_ms", result.median_early * result.optimum_ms},
          {"worst_at_5_percent_ms", result.worst_early * result.optimum_ms},
          {"tried_share", result.tried_share},
          {"ms_per_proposal", result.seconds_per_trial * 1000}};
}

nlohmann::json summary_json(const std::string& strategy, const Summary& summary, int least_trials) {
  return {{"strategy", strategy},
          {"spaces", summary.spaces},
          {"least_budget_trials", least_trials},
          {"mean", summary.mean},
          {"minimum", summary.minimum}};
}

// What strategies saw of the cost model.
struct Predictions {
  int spaces = 0;       // that have predictions
  bool fitted = false;  // the calibration was fitted on spaces of a device that is replayed
};

void print_json(const ReplayFlags& flags, const std::vector<ReplayResult>& results, const Predictions& predictions) {
  nlohmann::json out = {{"repeats", flags.repeats}, {"seed", flags.seed}, {"min_gain", flags.min_gain}};
  if (predictions.spaces > 0)
    out["predictions"] = {
        {"by", flags.predict}, {"spaces", predictions.spaces}, {"fitted_on_device", predictions.fitted}};
  for (const ReplayResult& result : results) out["results"].push_back(result_json(result));
  for (const std::string& strategy : chosen_strategies(flags.strategy))
    for (const int least : {0, kTellingTrials})
      if (const Summary summary = summarise(results, strategy, least); summary.spaces > 0)
        out["summary"].push_back(summary_json(strategy, summary, least));
  fmt::print("{}\n", out.dump(2));
}

void print_table(const std::vector<ReplayResult>& results, const std::string& strategy) {
  constexpr double kPercent = 100;
  std::size_t width = 24;
  for (const ReplayResult& r : results) width = std::max(width, r.space.size() + 1);
  fmt::print("{}\n{:<{}}{:>8}{:>8}{:>12}{:>11}{:>9}{:>14}{:>13}{:>8}{:>10}\n", strategy, "space", width, "budget",
             "score", "optimum ms", "at 5%", "worst", "found median", "found worst", "tried", "ms/trial");
  for (const ReplayResult& r : results) {
    if (r.strategy != strategy) continue;
    fmt::print("{:<{}}{:>8}{:>8.3f}{:>12.4g}{:>10.1f}%{:>8.1f}%{:>13.1f}%{:>12.1f}%{:>7.1f}%{:>10.2f}\n", r.space,
               width, r.budget_trials, r.score, r.optimum_ms, kPercent * (r.median_early - 1),
               kPercent * (r.worst_early - 1), kPercent * (r.median_found - 1), kPercent * (r.worst_found - 1),
               kPercent * r.tried_share, r.seconds_per_trial * 1000);
  }
  const Summary all = summarise(results, strategy, 0), telling = summarise(results, strategy, kTellingTrials);
  fmt::print("{:<{}}{:>8}{:>8.3f}  minimum {:.3f}\n", "mean", width, "", all.mean, all.minimum);
  if (telling.spaces > 0 && telling.spaces < all.spaces)
    fmt::print("{:<{}}{:>8}{:>8.3f}  minimum {:.3f}\n", "mean where the budget is", width,
               fmt::format(" {}+", kTellingTrials), telling.mean, telling.minimum);
}

void print_tables(const ReplayFlags& flags, const std::vector<ReplayResult>& results) {
  for (const std::string& strategy : chosen_strategies(flags.strategy)) {
    if (summarise(results, strategy, 0).spaces > 0) print_table(results, strategy);
    if (flags.strategy == kAll) fmt::print("\n");
  }
  fmt::print(
      "budget: trials that random search needs; at 5% of the space and found: slower than the optimum, median and "
      "worst; score: 0 is random search, 1 the optimum at once ({} repeats)\n",
      flags.repeats);
}

void print_predictions(const ReplayFlags& flags, const Predictions& predictions) {
  if (predictions.spaces == 0) return;
  const std::string by = flags.predict == kShippedCalibration ? "the calibration that ships"
                         : flags.predict == kBareFormula      ? "the bare formula"
                                                              : flags.predict;
  fmt::print("predictions: {} of {} spaces, by {}{}\n", predictions.spaces, flags.spaces.size(), by,
             predictions.fitted ? ", which was fitted on spaces of these devices too" : "");
}

void write_traces(const std::filesystem::path& path, const std::vector<ReplayResult>& results) {
  std::string lines;
  for (const ReplayResult& result : results) {
    for (std::size_t repeat = 0; repeat < result.traces.size(); ++repeat) {
      nlohmann::json trace = nlohmann::json::array();
      for (const ReplayedTrial& trial : result.traces[repeat])
        trace.push_back({trial.time_ms ? nlohmann::json(*trial.time_ms) : nlohmann::json(), trial.cost_s});
      lines +=
          nlohmann::json{
              {"strategy", result.strategy}, {"repeat", repeat}, {"space", result.space}, {"trace", std::move(trace)}}
              .dump() +
          "\n";
    }
  }
  publish_file(path, lines);
}

// Nothing where the folder's name is no device's.
std::optional<DeviceSpec> recorded_device(const std::filesystem::path& space) {
  try {
    return device_of_folder(absolute(space).parent_path(), data_dir() / "devices");
  } catch (const Error&) {
    return std::nullopt;
  }
}

bool is_fitted_on(const Calibration& calibration, const std::filesystem::path& space) {
  const std::string folder = absolute(space).parent_path().filename().string() + ":";
  return std::ranges::any_of(calibration.spaces, [&](const std::string& line) { return line.starts_with(folder); });
}

void add_predictions(ReplayedSpace& space, const std::filesystem::path& path, const ReplayFlags& flags,
                     Predictions& predictions) {
  if (flags.predict == kNoPredictions) return;
  std::optional<DeviceSpec> device = recorded_device(path);
  if (device) {
    const std::string& asked = flags.predict == kBareFormula ? kNoCalibration : flags.predict;
    device->calibration = chosen_calibration(asked, device->arch);
  }
  if (!device || !predict_points(space, *device)) {
    if (flags.predict_asked)
      fmt::print(stderr, "replay: {} is no space of kernels that Duet recorded: nothing is predicted\n", path.string());
    return;
  }
  ++predictions.spaces;
  if (device->calibration != nullptr && is_fitted_on(*device->calibration, path)) predictions.fitted = true;
}

void run_replay(const ReplayFlags& flags, const GlobalFlags& global) {
  std::vector<ReplayedSpace> spaces;
  Predictions predictions;
  for (const std::filesystem::path& path : flags.spaces) {
    spaces.push_back(read_replayed_space(path));
    add_predictions(spaces.back(), path, flags, predictions);
  }
  const std::vector<ReplayResult> results = run_all(flags, spaces);
  if (!flags.traces.empty()) write_traces(flags.traces, results);
  if (global.json) return print_json(flags, results, predictions);
  print_tables(flags, results);
  print_predictions(flags, predictions);
}

}  // namespace

void add_replay_command(CLI::App& app, const GlobalFlags& global) {
  CLI::App* command = app.add_subcommand("replay", "Judge search strategies on recorded spaces, without a device");
  auto flags = std::make_shared<ReplayFlags>();
  add_flags(*command, *flags);
  command->callback([flags, &global] { run_replay(*flags, global); });
}

}  // namespace duet
