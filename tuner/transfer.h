// What a search that starts with another device's best candidates finds, judged on recorded spaces of both devices.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/calibration.h"
#include "tuner/model_judge.h"

namespace duet {

inline constexpr std::array<std::size_t, 4> kTransferTrials{1, 3, 5, 10};

// Of one problem: the best of the first n trials over the best of the target's space, for each n of kTransferTrials.
using Regrets = std::array<double, kTransferTrials.size()>;

struct TransferResult {
  std::string problem, family;
  std::string from_problem;  // what the first candidates come from: the problem itself, or the nearest of its family
  int candidates = 0;        // of the target
  int shared = 0;            // of them, those that the source timed too
  Regrets warm{}, model{}, random{};  // random: in expectation
};

struct TransferOptions {
  int least = kLeastJudged;   // candidates that a space of the target must have
  bool other_shapes = false;  // sources are other problems of the family, as if the target's were new everywhere
};

// Warm trials are in the order of warm_order. Problems that the source says nothing of are left out. `factors` serve
// both devices.
std::vector<TransferResult> judge_transfer(const RecordedSpaces& from, const RecordedSpaces& to,
                                           const FactorsOf& factors, const TransferOptions& options);

}  // namespace duet
