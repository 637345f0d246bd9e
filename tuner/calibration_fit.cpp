#include "tuner/calibration_fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "codegen/tile_fields.h"
#include "tuner/model_judge.h"

namespace duet {
namespace {

constexpr double kRobustWidth = 0.1;     // of a logarithm: where the loss turns from quadratic to linear
constexpr double kMeanWeight = 0.3;      // of a space's mean error against the errors around it
constexpr double kPenalty = 0.003;       // of the mean squared logarithm of the factors
constexpr std::size_t kMostWeight = 20;  // candidates: a space of more weighs no more
constexpr std::size_t kMostUsed = 400;   // of one space, evenly spread
constexpr double kFirstStep = 0.5, kLastStep = 0.02, kStepGrowth = 1.3;
constexpr double kLeastGain = 1e-9;
constexpr int kMostRounds = 60;
constexpr double kMostLog = 3.5;  // factors from 1/33 to 33
constexpr std::size_t kFolds = 5;

using Logs = std::array<double, kCostFactorFields.size()>;

// Quadratic near zero with curvature 2, linear far out.
double robust(double error) {
  const double scaled = error / kRobustWidth;
  return 2 * kRobustWidth * kRobustWidth * (std::sqrt(1 + scaled * scaled) - 1);
}

// One space's part of the loss: its device, and candidates with the logarithms of their times.
struct FittedSpace {
  const DeviceSpec* device = nullptr;
  std::vector<const CostInputs*> inputs;
  std::vector<double> log_times;
};

FittedSpace make_space(const RecordedSpaces& folder, const RecordedProblem& problem) {
  FittedSpace space{.device = &folder.device, .inputs = {}, .log_times = {}};
  const std::size_t stride = (problem.candidates.size() + kMostUsed - 1) / kMostUsed;
  for (std::size_t i = 0; i < problem.candidates.size(); i += stride) {
    space.inputs.push_back(&problem.candidates[i].inputs);
    space.log_times.push_back(std::log(problem.candidates[i].time_us));
  }
  return space;
}

double space_loss(const FittedSpace& space, const CostFactors& factors) {
  std::vector<double> errors;
  double sum = 0;
  for (std::size_t i = 0; i < space.inputs.size(); ++i) {
    const double predicted_us = predict(*space.inputs[i], *space.device, factors).total_us;
    errors.push_back(std::log(predicted_us) - space.log_times[i]);
    sum += errors.back();
  }
  const auto count = static_cast<double>(errors.size());
  double spread = 0;
  for (const double error : errors) spread += robust(error - sum / count);
  return spread / count + kMeanWeight * robust(sum / count);
}

CostFactors factors_of(const Logs& logs) {
  CostFactors factors;
  for (std::size_t i = 0; i < logs.size(); ++i) factors.*kCostFactorFields[i].member *= std::exp(logs[i]);
  return factors;
}

bool is_allowed(const CostFactors& factors, const Logs& logs) {
  return factors.overlap >= kLeastOverlap &&
         std::all_of(logs.begin(), logs.end(), [](double log) { return std::abs(log) <= kMostLog; });
}

// The launch is the device's own figure. Where all blocks start at once, as small products do on a whole GPU, times do
// not tell it from what every block spends; given to the launch, that would be missing where blocks come in rounds.
bool is_fitted(std::size_t factor) { return kCostFactorFields[factor].member != &CostFactors::launch; }

class Fit {
 public:
  explicit Fit(std::vector<FittedSpace> spaces) : spaces_(std::move(spaces)) {}

  CostFactors run() {
    Logs steps{};
    steps.fill(kFirstStep);
    best_ = loss(logs_);
    for (int round = 0; round < kMostRounds && *std::max_element(steps.begin(), steps.end()) >= kLastStep; ++round)
      for (std::size_t i = 0; i < logs_.size(); ++i)
        steps[i] *= is_fitted(i) && (try_step(i, steps[i]) || try_step(i, -steps[i])) ? kStepGrowth : 0.5;
    return factors_of(logs_);
  }

 private:
  bool try_step(std::size_t factor, double step) {
    Logs trial = logs_;
    trial[factor] += step;
    if (!is_allowed(factors_of(trial), trial)) return false;
    const double found = loss(trial);
    if (found >= best_ - kLeastGain) return false;
    logs_ = trial;
    best_ = found;
    return true;
  }

  double loss(const Logs& logs) const {
    const CostFactors factors = factors_of(logs);
    double sum = 0, weights = 0, squares = 0;
    for (const FittedSpace& space : spaces_) {
      const auto weight = static_cast<double>(std::min(space.inputs.size(), kMostWeight));
      sum += weight * space_loss(space, factors);
      weights += weight;
    }
    for (const double log : logs) squares += log * log;
    return sum / weights + kPenalty * squares / static_cast<double>(logs.size());
  }

  std::vector<FittedSpace> spaces_;
  Logs logs_{};
  double best_ = 0;
};

std::set<std::string> families_of(std::span<const RecordedSpaces> folders) {
  std::set<std::string> families;
  for (const RecordedSpaces& folder : folders)
    for (const RecordedProblem& problem : folder.problems) families.emplace(family_name(problem.spec));
  return families;
}

// A fit, and what it is to be judged on.
struct Fold {
  std::vector<RecordedSpaces> fitted, judged;
};

// Two folders of one device, of different runs say, are one device.
std::string device_key(const RecordedSpaces& folder) {
  return fmt::format("{} {} {}", folder.device.name, folder.device.sm_count, folder.device.sm_clock_mhz);
}

std::set<std::string> device_keys(std::span<const RecordedSpaces> folders) {
  std::set<std::string> keys;
  for (const RecordedSpaces& folder : folders) keys.insert(device_key(folder));
  return keys;
}

std::vector<Fold> folds_by_device(std::span<const RecordedSpaces> folders) {
  std::vector<Fold> folds;
  for (const std::string& device : device_keys(folders)) {
    Fold& fold = folds.emplace_back();
    for (const RecordedSpaces& folder : folders)
      (device_key(folder) == device ? fold.judged : fold.fitted).push_back(folder);
  }
  return folds;
}

// The same problem of two folders falls into one fold.
std::vector<Fold> folds_by_problem(std::span<const RecordedSpaces> folders) {
  std::set<std::string> names;
  for (const RecordedSpaces& folder : folders)
    for (const RecordedProblem& problem : folder.problems) names.insert(problem.name);
  std::vector<Fold> folds(kFolds);
  for (std::size_t fold = 0; fold < kFolds; ++fold) {
    for (const RecordedSpaces& folder : folders) {
      RecordedSpaces& fitted =
          folds[fold].fitted.emplace_back(RecordedSpaces{.name = folder.name, .device = folder.device});
      RecordedSpaces& judged =
          folds[fold].judged.emplace_back(RecordedSpaces{.name = folder.name, .device = folder.device});
      for (const RecordedProblem& problem : folder.problems) {
        const auto place = static_cast<std::size_t>(std::distance(names.begin(), names.find(problem.name)));
        (place % kFolds == fold ? judged : fitted).problems.push_back(problem);
      }
    }
  }
  return folds;
}

std::vector<const RecordedSpaces*> pointers(std::span<const RecordedSpaces> folders) {
  std::vector<const RecordedSpaces*> all;
  for (const RecordedSpaces& folder : folders) all.push_back(&folder);
  return all;
}

// All spaces of a family count for the error, however small: their times are predicted too. Those with an order to
// judge count for the correlation.
void judge_held_out(Calibration& calibration, const std::vector<Fold>& folds) {
  std::map<std::string, std::vector<SpaceJudgement>> judged;
  for (const Fold& fold : folds) {
    std::map<std::string, CostFactors, std::less<>> factors;
    for (const std::string& family : families_of(fold.judged))
      factors[family] = fit_factors(pointers(fold.fitted), family);
    for (SpaceJudgement& space : judge_spaces(
             fold.judged, [&](std::string_view family) { return factors.find(family)->second; }, 1))
      judged[space.family].push_back(std::move(space));
  }
  for (auto& [family, spaces] : judged) {
    ModelError& error = calibration.families[family].held_out;
    const FamilyJudgement all = judge_families(spaces).front();
    error = {.median = all.median_error, .p90 = all.p90_error, .spaces = all.spaces, .candidates = all.candidates};
    std::erase_if(spaces, [](const SpaceJudgement& space) { return space.candidates < kLeastJudged; });
    if (!spaces.empty()) error.rank_correlation = judge_families(spaces).front().mean_correlation;
  }
}

}  // namespace

CostFactors fit_factors(std::span<const RecordedSpaces* const> folders, std::string_view family) {
  std::vector<FittedSpace> spaces;
  for (const RecordedSpaces* folder : folders)
    for (const RecordedProblem& problem : folder->problems)
      if (family_name(problem.spec) == family && static_cast<int>(problem.candidates.size()) >= kLeastFitted)
        spaces.push_back(make_space(*folder, problem));
  return spaces.empty() ? CostFactors{} : Fit(std::move(spaces)).run();
}

Calibration fit_calibration(std::span<const RecordedSpaces> folders) {
  if (folders.empty()) fail(ErrorKind::input, "there is no folder of recorded spaces to fit");
  Calibration calibration;
  calibration.arch = folders.front().device.arch;
  for (const RecordedSpaces& folder : folders) {
    if (folder.device.arch != calibration.arch)
      fail(ErrorKind::input, "{} is of {}, {} of {}: fit each architecture by itself", folders.front().name,
           calibration.arch, folder.name, folder.device.arch);
    calibration.spaces.push_back(
        fmt::format("{}: {} spaces, {} candidates", folder.name, folder.problems.size(), folder.candidate_count()));
  }
  const std::vector<const RecordedSpaces*> all = pointers(folders);
  for (const std::string& family : families_of(folders))
    calibration.families[family].factors = fit_factors(all, family);
  const bool several = device_keys(folders).size() > 1;
  calibration.held_out = several ? "devices" : "problems";
  judge_held_out(calibration, several ? folds_by_device(folders) : folds_by_problem(folders));
  return calibration;
}

}  // namespace duet
