// How a budget in seconds is divided among the kernels of a plan.
#pragma once

#include <algorithm>
#include <numeric>
#include <span>

namespace duet {

// What the first of the kernels that are left may take of the time that is left: half of it is divided equally, so that
// the cheapest is searched too, half by what they take of the plan's time. `times_us`: of each in the plan.
inline double first_part(std::span<const double> times_us) {
  const double sum = std::accumulate(times_us.begin(), times_us.end(), 0.0);
  const double equal = 1 / static_cast<double>(times_us.size());
  return sum > 0 ? (equal + times_us.front() / sum) / 2 : equal;
}

// The same in seconds. A search ends behind its deadline, with the race of its finalists: `overrun_s` is kept for each
// kernel that is left, so that the last ones have something to search in too.
inline double first_part_s(double left_s, std::span<const double> times_us, double overrun_s) {
  return std::max(0.0, left_s - overrun_s * static_cast<double>(times_us.size())) * first_part(times_us);
}

}  // namespace duet
