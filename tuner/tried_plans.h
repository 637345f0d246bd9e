// The whole plans that a run timed or predicted, each with what it costs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/plan_point.h"
#include "tuner/goal.h"
#include "tuner/plan_builder.h"
#include "tuner/schedule_choice.h"

namespace duet {

struct TriedPlan {
  std::vector<ChosenKernel> kernels;  // by problem
  ScheduleVariant variant;
  PlanPoint point;
};

// Each problem with the one of its alternatives that has the least scratch memory, the first of equal ones; its own
// kernel where none has less.
std::vector<ChosenKernel> leanest_kernels(
    const std::vector<ChosenKernel>& kernels, const std::vector<std::vector<ChosenKernel>>& alternatives,
    const std::function<std::int64_t(std::size_t problem, const ChosenKernel& kernel)>& scratch_bytes);

class TriedPlans {
 public:
  // `alone`: of each problem the kernel that is fastest by itself, to tell how others differ.
  explicit TriedPlans(std::vector<ChosenKernel> alone = {}) : alone_(std::move(alone)) {}

  // What was noted of the same kernels and variant before is replaced, except for the energy. Returns its place.
  std::size_t note(const std::vector<ChosenKernel>& kernels, const ScheduleVariant& variant, const Plan& plan,
                   double latency_us);
  std::optional<std::size_t> find(const std::vector<ChosenKernel>& kernels, const ScheduleVariant& variant) const;
  TriedPlan& at(std::size_t place) { return plans_.at(place); }
  // Whose energy is worth measuring: `first`; for the energy objective the fastest too, else what no other plan betters
  // in latency and memory. At most six.
  std::vector<std::size_t> worth_measuring(std::size_t first, Objective objective) const;
  std::vector<PlanPoint> points() const;

 private:
  std::vector<ChosenKernel> alone_;
  std::vector<TriedPlan> plans_;
};

}  // namespace duet
