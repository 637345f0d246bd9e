// What measuring taught the cost model of an architecture: a few multipliers a kernel family, and how far predictions
// made with them were off where they had not been fitted. Kept as YAML; docs/cost-model.md describes the file.
//
//   device.calibration = std::make_shared<const Calibration>(load_calibration("calibration/default.yaml"));
#pragma once

#include <array>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace duet {

// Of the terms of tuner/cost_model.h, each relative to what its formula says: shares of a peak that is reached, clocks
// that an instruction sequence really takes. They describe an architecture's SM, not a device's size or clock.
struct CostFactors {
  double launch = 1;   // the device's launch time
  double latency = 1;  // of a load that nothing hides
  double sync = 1;     // clocks of a step's barriers
  double math = 1;     //   of its products and the fragments they take
  double rows = 1;     //   of row statistics and softmax
  double copy = 1;     //   of what threads copy
  double block = 1;    // clocks that a block spends once, before its first step and after its last
  double tensor = 1;   // time on tensor cores
  double smem = 1;     //   on shared memory
  double scalar = 1;   //   on the fp32 pipes
  double l2 = 1;       //   on the way from L2
  double memory = 1;   // time on DRAM
  double combine = 1;  // meeting at counters and adding up partial results
  double issue = 1;    // share of an SM's issue slots that four warps take
  double overlap =
      2;  // exponent of the norm that joins what runs beside each other: 1 adds up, large takes the largest
  friend bool operator==(const CostFactors&, const CostFactors&) = default;
};

struct CostFactorField {
  std::string_view name;
  double CostFactors::*member;
};
inline constexpr std::array<CostFactorField, 15> kCostFactorFields{{{"launch", &CostFactors::launch},
                                                                    {"latency", &CostFactors::latency},
                                                                    {"sync", &CostFactors::sync},
                                                                    {"math", &CostFactors::math},
                                                                    {"rows", &CostFactors::rows},
                                                                    {"copy", &CostFactors::copy},
                                                                    {"block", &CostFactors::block},
                                                                    {"tensor", &CostFactors::tensor},
                                                                    {"smem", &CostFactors::smem},
                                                                    {"scalar", &CostFactors::scalar},
                                                                    {"l2", &CostFactors::l2},
                                                                    {"memory", &CostFactors::memory},
                                                                    {"combine", &CostFactors::combine},
                                                                    {"issue", &CostFactors::issue},
                                                                    {"overlap", &CostFactors::overlap}}};
// A factor added to the struct and forgotten here would never be fitted.
static_assert(sizeof(CostFactors) == kCostFactorFields.size() * sizeof(double));

// What a factor may be, for files and fits.
inline constexpr double kLeastFactor = 0.01, kMostFactor = 100, kLeastOverlap = 1;

// Of predictions that were not fitted to the candidates they are compared with.
struct ModelError {
  double median = 0, p90 = 0;   // of |predicted / measured - 1| over candidates
  double rank_correlation = 0;  // Spearman's, of predicted and measured times within a space; the mean over spaces
  int spaces = 0, candidates = 0;
  friend bool operator==(const ModelError&, const ModelError&) = default;
};

struct FamilyCalibration {
  CostFactors factors;
  ModelError held_out;
  friend bool operator==(const FamilyCalibration&, const FamilyCalibration&) = default;
};

struct Calibration {
  std::string arch;                 // of the spaces: "sm_90"
  std::string date, commit;         // of the fit; commit empty when unknown
  std::string held_out;             // what the errors are of: "devices" or "problems" left out of a fit
  std::vector<std::string> spaces;  // what it was fitted on, one line a folder
  std::map<std::string, FamilyCalibration> families;

  const FamilyCalibration* find(std::string_view family) const;  // null: not measured, factors of 1
  friend bool operator==(const Calibration&, const Calibration&) = default;
};

// Throws Error(input) with file and line: an unknown key, family or factor, a number outside its limits.
Calibration load_calibration(const std::filesystem::path& path);
std::string calibration_yaml(const Calibration& calibration);

// `<directory>/<arch>.yaml` where there is one, else `<directory>/default.yaml`; none of them: empty.
std::filesystem::path find_calibration(const std::filesystem::path& directory, std::string_view arch);

}  // namespace duet
