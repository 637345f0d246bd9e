// Why a plan's kernels were chosen: each problem's candidate beside those that came next, with how sure that is.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/plan.h"
#include "runtime/plan_store.h"
#include "tuner/stats.h"

namespace duet {

// A candidate's time as it was recorded.
struct RecordedTime {
  std::string config{};
  Provenance provenance = Provenance::predicted;
  double time_us = 0;  // the median of the samples, or the model's prediction where there are none
  int samples = 0;
  Interval interval{};  // 95%, of the median (of rounds, where it was raced); no width where there are no samples
  double slower = 0;    // than the one chosen: 0.02 is 2%
  bool tie = false;     // with the one chosen: the intervals overlap. Never of predictions
};

struct ChoiceReport {
  KernelChoice choice{};
  std::string steps{};                      // "vision.layers.*.fc1", of those that pose the problem
  std::optional<RecordedTime> chosen{};     // none when its row is not in this store
  std::optional<RecordedTime> alone{};      // the fastest by itself, where the whole plan preferred another
  std::vector<RecordedTime> runners_up{};   // the next ones, the fastest first
  std::map<std::string, int> outcomes{};    // of the candidates tried, by status
  std::map<std::string, int> infeasible{};  // cannot run, by reason; the most of any one space
};

// By problem, in the plan's order. Of a tile tried for several sources or compilers the last outcome counts.
std::vector<ChoiceReport> explain_choices(const Plan& plan, const PlanStore& store, std::size_t runners_up = 3);

}  // namespace duet
