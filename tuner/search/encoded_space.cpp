#include "tuner/search/encoded_space.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

namespace duet {
namespace {

struct Column {
  std::vector<std::uint16_t> levels;  // of each point
  std::vector<std::size_t> counts;    // of points with each level
};

Column encode_column(const SearchPoints& points, std::size_t parameter) {
  std::vector<int> values;
  for (const SearchPoint& point : points) values.push_back(point.parameters[parameter].second);
  std::vector<int> distinct = values;
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  // Beyond 16 bits of values the greatest count as one.
  constexpr std::ptrdiff_t kLastLevel = std::numeric_limits<std::uint16_t>::max();
  const std::size_t levels = std::min(distinct.size(), static_cast<std::size_t>(kLastLevel) + 1);
  Column column{.levels = {}, .counts = std::vector<std::size_t>(levels)};
  for (const int value : values) {
    const auto place = std::lower_bound(distinct.begin(), distinct.end(), value) - distinct.begin();
    const auto level = std::min<std::ptrdiff_t>(place, kLastLevel);
    column.levels.push_back(static_cast<std::uint16_t>(level));
    ++column.counts[static_cast<std::size_t>(level)];
  }
  return column;
}

std::vector<Column> encode_columns(const SearchPoints& points) {
  std::size_t parameters = points.empty() ? 0 : points.front().parameters.size();
  for (const SearchPoint& point : points) parameters = std::min(parameters, point.parameters.size());
  std::vector<Column> columns;
  for (std::size_t parameter = 0; parameter < parameters; ++parameter) {
    Column column = encode_column(points, parameter);
    if (column.counts.size() > 1) columns.push_back(std::move(column));
  }
  std::stable_sort(columns.begin(), columns.end(),
                   [](const Column& a, const Column& b) { return a.counts < b.counts; });
  return columns;
}

std::vector<std::size_t> row_order(const std::vector<Column>& columns, std::size_t rows) {
  std::vector<std::size_t> order(rows);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    for (const Column& column : columns)
      if (column.levels[a] != column.levels[b]) return column.levels[a] < column.levels[b];
    return false;
  });
  return order;
}

std::uint64_t hash_levels(std::span<const std::uint16_t> levels) {
  std::uint64_t hash = 0xcbf29ce484222325U;  // FNV-1a, over 16 bits at a time
  for (const std::uint16_t level : levels) hash = (hash ^ level) * 0x100000001b3U;
  return hash;
}

}  // namespace

EncodedSpace::EncodedSpace(const SearchPoints& points) {
  const std::vector<Column> columns = encode_columns(points);
  for (const Column& column : columns) level_counts_.push_back(static_cast<int>(column.counts.size()));
  original_ = row_order(columns, points.size());
  encoded_.resize(points.size());
  for (std::size_t index = 0; index < original_.size(); ++index) {
    encoded_[original_[index]] = index;
    for (const Column& column : columns) levels_.push_back(column.levels[original_[index]]);
    predicted_us_.push_back(points[original_[index]].predicted_us);
    has_predictions_ = has_predictions_ || predicted_us_.back() > 0;
  }
  by_hash_.reserve(size());
  for (std::size_t index = 0; index < size(); ++index) by_hash_.try_emplace(hash_levels(levels(index)), index);
}

std::size_t EncodedSpace::find(std::span<const std::uint16_t> wanted) const {
  const auto found = by_hash_.find(hash_levels(wanted));
  if (found == by_hash_.end() || !std::ranges::equal(levels(found->second), wanted)) return kNone;
  return found->second;
}

void EncodedSpace::neighbours(std::size_t index, std::vector<std::size_t>& found) const {
  found.clear();
  std::vector<std::uint16_t> changed(levels(index).begin(), levels(index).end());
  for (std::size_t parameter = 0; parameter < parameters(); ++parameter) {
    const std::uint16_t kept = changed[parameter];
    for (int level = 0; level < level_counts_[parameter]; ++level) {
      changed[parameter] = static_cast<std::uint16_t>(level);
      const std::size_t neighbour = level == kept ? kNone : find(changed);
      if (neighbour != kNone) found.push_back(neighbour);
    }
    changed[parameter] = kept;
  }
}

double EncodedSpace::distance(std::span<const std::uint16_t> wanted, std::size_t index) const {
  const std::span<const std::uint16_t> own = levels(index);
  double sum = 0;
  for (std::size_t parameter = 0; parameter < own.size(); ++parameter) {
    if (own[parameter] == wanted[parameter]) continue;
    sum += 1 + std::abs(own[parameter] - wanted[parameter]) / static_cast<double>(level_counts_[parameter]);
  }
  return sum;
}

}  // namespace duet
