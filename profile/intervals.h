// Sets of times: how long any of them lasts, and how many last at once.
#pragma once

#include <span>
#include <vector>

namespace duet {

struct TimeSpan {
  double begin_us = 0, end_us = 0;

  bool operator==(const TimeSpan&) const = default;
};

// Disjoint and ascending, covering the same times; what touches is joined, what is empty left out.
std::vector<TimeSpan> merge(std::vector<TimeSpan> intervals);

double total_us(std::span<const TimeSpan> disjoint);

// From `at_us` on, `running` sets have a time.
struct Level {
  double at_us = 0;
  int running = 0;

  bool operator==(const Level&) const = default;
};

// How many of the sets, each disjoint, cover each time: a level wherever that changes, the last one 0.
std::vector<Level> count_running(std::span<const std::vector<TimeSpan>> sets);

// How long at least `count` sets run at once.
double time_at_least_us(std::span<const Level> levels, int count);

}  // namespace duet
