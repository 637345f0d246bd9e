// Folders of recorded spaces as problems that the cost model can predict: what was posed, on which device, and what
// each candidate took.
//
//   const RecordedSpaces spaces = read_recorded_spaces("results/spaces/NVIDIA_H100_...", "devices");
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "codegen/candidate.h"
#include "codegen/device_spec.h"
#include "tuner/cost_model.h"
#include "tuner/replayed_space.h"

namespace duet {

struct RecordedCandidate {
  KernelTile tile;
  double time_us = 0;
  CostInputs inputs;
};

struct RecordedProblem {
  std::string name;  // problem_text
  KernelSpec spec;
  std::vector<RecordedCandidate> candidates;  // that were timed, in the file's order
  int infeasible = 0;                         // timed ones that this Duet would not try
};

// One device's.
struct RecordedSpaces {
  std::string name{};  // the folder's
  DeviceSpec device{};
  std::vector<RecordedProblem> problems{};
  std::vector<std::string> skipped{};  // files that were left out, with the reason

  std::size_t candidate_count() const;
};

// The device of a folder that `duet spaces export` named: the file of `devices` with that module, at the SM count and
// clock that the name gives. Throws Error(input) saying what is missing.
DeviceSpec device_of_folder(const std::filesystem::path& folder, const std::filesystem::path& devices);

// Every .csv and .csv.gz of the folder. A file whose name is no problem's, or whose tiles are of another version of the
// family, is skipped and listed, as are candidates that are infeasible by now; a damaged one throws Error(input).
// Throws Error(input) when nothing can be read.
RecordedSpaces read_recorded_spaces(const std::filesystem::path& folder, const std::filesystem::path& devices);

// Gives every configuration of a space the time that the cost model expects on `device`, as a tuning run does. False,
// and nothing changed, where the space is none of ours: its name is no problem's, or its parameters are no tile's.
bool predict_points(ReplayedSpace& space, const DeviceSpec& device);

}  // namespace duet
