#include "profile/intervals.h"

#include <algorithm>
#include <map>

namespace duet {

std::vector<TimeSpan> merge(std::vector<TimeSpan> intervals) {
  std::sort(intervals.begin(), intervals.end(),
            [](const TimeSpan& a, const TimeSpan& b) { return a.begin_us < b.begin_us; });
  std::vector<TimeSpan> merged;
  for (const TimeSpan& next : intervals) {
    if (next.end_us <= next.begin_us) continue;
    if (merged.empty() || next.begin_us > merged.back().end_us) {
      merged.push_back(next);
    } else {
      merged.back().end_us = std::max(merged.back().end_us, next.end_us);
    }
  }
  return merged;
}

double total_us(std::span<const TimeSpan> disjoint) {
  double sum_us = 0;
  for (const TimeSpan& interval : disjoint) sum_us += interval.end_us - interval.begin_us;
  return sum_us;
}

std::vector<Level> count_running(std::span<const std::vector<TimeSpan>> sets) {
  std::map<double, int> changes;
  for (const std::vector<TimeSpan>& set : sets) {
    for (const TimeSpan& interval : set) {
      ++changes[interval.begin_us];
      --changes[interval.end_us];
    }
  }
  std::vector<Level> levels;
  int running = 0;
  for (const auto& [at_us, change] : changes) {
    if (change == 0) continue;
    running += change;
    levels.push_back({.at_us = at_us, .running = running});
  }
  return levels;
}

double time_at_least_us(std::span<const Level> levels, int count) {
  double sum_us = 0;
  for (std::size_t i = 0; i + 1 < levels.size(); ++i) {
    if (levels[i].running >= count) sum_us += levels[i + 1].at_us - levels[i].at_us;
  }
  return sum_us;
}

}  // namespace duet
