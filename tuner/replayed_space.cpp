#include "tuner/replayed_space.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <span>

#include "base/error.h"
#include "base/file.h"
#include "base/gzip.h"
#include "base/one_line.h"
#include "tuner/stats.h"

namespace duet {
namespace {

// Of spaces that are published the largest has some 100 thousand rows; these bound what a hostile file can ask for.
constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 26;
constexpr std::uint64_t kMaxTextBytes = std::uint64_t{1} << 26;
constexpr std::size_t kMaxParameters = 256;
constexpr std::size_t kMaxRows = 1'000'000;
constexpr std::size_t kMaxValues = 8'000'000;

// Cells of a table, row by row; a quoted cell may hold commas and line ends.
class CsvReader {
 public:
  explicit CsvReader(std::string_view text) : text_(text) {}

  // False at the end. Cells are views of the text, without the quotes around them.
  bool next_row(std::vector<std::string_view>& cells) {
    cells.clear();
    while (!text_.empty() && (text_.front() == '\n' || text_.front() == '\r')) skip_line_end();
    if (text_.empty()) return false;
    row_line_ = line_;
    do {
      cells.push_back(take_cell());
    } while (take_comma());
    return true;
  }
  std::size_t line() const { return row_line_; }

 private:
  void skip_line_end() {
    line_ += text_.front() == '\n' ? 1 : 0;
    text_.remove_prefix(1);
  }
  bool take_comma() {
    if (text_.empty() || text_.front() != ',') return false;
    text_.remove_prefix(1);
    return true;
  }
  std::string_view take_cell() {
    const bool quotes = !text_.empty() && text_.front() == '"';
    if (quotes) text_.remove_prefix(1);
    const std::size_t end = std::min(quotes ? closing_quote() : text_.find_first_of(",\r\n"), text_.size());
    const std::string_view cell = text_.substr(0, end);
    line_ += static_cast<std::size_t>(std::count(cell.begin(), cell.end(), '\n'));
    text_.remove_prefix(end);
    if (quotes) text_.remove_prefix(std::min(text_.find_first_of(",\r\n"), text_.size()));
    return cell;
  }
  std::size_t closing_quote() const {
    std::size_t at = text_.find('"');
    while (at != std::string_view::npos && at + 1 < text_.size() && text_[at + 1] == '"') at = text_.find('"', at + 2);
    return at;
  }

  std::string_view text_;
  std::size_t line_ = 1, row_line_ = 1;
};

std::optional<double> parse_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

// How the values of one parameter become numbers: integers stay, other numbers and names give their place in order.
std::vector<int> encode_values(std::span<const std::string_view> texts) {
  constexpr double kMaxInteger = 1e9;
  std::vector<double> numbers;
  bool integers = true;
  for (const std::string_view text : texts) {
    const std::optional<double> number = parse_number(text);
    if (!number) break;
    numbers.push_back(*number);
    integers = integers && std::trunc(*number) == *number && std::abs(*number) <= kMaxInteger;
  }
  const auto places = [](const auto& values) {
    auto distinct = std::vector(values.begin(), values.end());
    std::sort(distinct.begin(), distinct.end());
    distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
    std::vector<int> encoded;
    for (const auto& value : values)
      encoded.push_back(static_cast<int>(std::lower_bound(distinct.begin(), distinct.end(), value) - distinct.begin()));
    return encoded;
  };
  if (numbers.size() < texts.size()) return places(texts);
  if (!integers) return places(numbers);
  return {numbers.begin(), numbers.end()};
}

class SpaceParser {
 public:
  SpaceParser(std::string_view csv, const std::string& name) : reader_(csv) { space_.name = name; }

  ReplayedSpace parse() {
    read_header();
    columns_.resize(space_.parameters.size());
    while (reader_.next_row(cells_)) read_row();
    require_something_valid();
    fill_missing_costs();
    make_points();
    return std::move(space_);
  }

 private:
  void read_header() {
    reader_.next_row(cells_);
    const auto time = std::find(cells_.begin(), cells_.end(), "time_ms");
    if (time == cells_.end())
      fail(ErrorKind::input, "{}: has no column time_ms: a recorded space has parameters, time_ms, cost_s",
           space_.name);
    if (time + 1 == cells_.end() || *(time + 1) != "cost_s")
      fail(ErrorKind::input, "{}: has no column cost_s behind time_ms", space_.name);
    if (time == cells_.begin()) fail(ErrorKind::input, "{}: has no parameter before time_ms", space_.name);
    space_.parameters.assign(cells_.begin(), time);
    if (space_.parameters.size() > kMaxParameters)
      fail(ErrorKind::input, "{}: has {} parameters, the limit is {}", space_.name, space_.parameters.size(),
           kMaxParameters);
    column_count_ = cells_.size();
  }

  void read_row() {
    if (cells_.size() != column_count_)
      fail(ErrorKind::input, "{}:{}: has {} cells, the header has {}", space_.name, reader_.line(), cells_.size(),
           column_count_);
    if (space_.time_ms.size() == kMaxRows || (space_.time_ms.size() + 1) * space_.parameters.size() > kMaxValues)
      fail(ErrorKind::input, "{}: has more than {} rows or {} values, the limit", space_.name, kMaxRows, kMaxValues);
    for (std::size_t i = 0; i < columns_.size(); ++i) columns_[i].push_back(cells_[i]);
    const std::string_view time = cells_[columns_.size()], cost = cells_[columns_.size() + 1];
    space_.time_ms.push_back(time.empty() ? 0 : number("time_ms", time));
    if (!time.empty() && space_.time_ms.back() <= 0) refuse("time_ms", time, "is not above 0");
    space_.cost_s.push_back(cost.empty() ? kUnknown : number("cost_s", cost));
    if (!cost.empty() && space_.cost_s.back() < 0) refuse("cost_s", cost, "is negative");
  }

  double number(std::string_view column, std::string_view text) const {
    const std::optional<double> value = parse_number(text);
    if (!value) refuse(column, text, "is no finite number");
    return *value;
  }

  [[noreturn]] void refuse(std::string_view column, std::string_view text, std::string_view why) const {
    fail(ErrorKind::input, "{}:{}: {} '{}' {}", space_.name, reader_.line(), column, printable(text), why);
  }

  void require_something_valid() const {
    if (space_.time_ms.empty()) fail(ErrorKind::input, "{}: has no row", space_.name);
    if (std::ranges::none_of(space_.time_ms, [](double time) { return time > 0; }))
      fail(ErrorKind::input, "{}: every time_ms of its {} rows is empty: nothing to find", space_.name,
           space_.time_ms.size());
  }

  void fill_missing_costs() {
    std::vector<double> known;
    for (const double cost : space_.cost_s)
      if (cost != kUnknown) known.push_back(cost);
    const double median_s = median(known);
    if (median_s <= 0)
      fail(ErrorKind::input, "{}: the median of cost_s is 0: no clock to judge a search by", space_.name);
    std::replace(space_.cost_s.begin(), space_.cost_s.end(), kUnknown, median_s);
  }

  void make_points() {
    space_.points.resize(space_.time_ms.size());
    for (std::size_t column = 0; column < columns_.size(); ++column) {
      const std::vector<int> values = encode_values(columns_[column]);
      for (std::size_t row = 0; row < values.size(); ++row)
        space_.points[row].parameters.emplace_back(space_.parameters[column], values[row]);
      columns_[column] = {};
    }
  }

  static constexpr double kUnknown = -1;
  CsvReader reader_;
  ReplayedSpace space_;
  std::size_t column_count_ = 0;
  std::vector<std::string_view> cells_;
  std::vector<std::vector<std::string_view>> columns_;  // of parameters
};

std::string space_name(const std::filesystem::path& path) {
  std::string name = path.filename().string();
  for (const std::string_view ending : {".gz", ".csv"})
    if (name.size() > ending.size() && name.ends_with(ending)) name.resize(name.size() - ending.size());
  return name;
}

}  // namespace

ReplayedSpace parse_replayed_space(std::string_view csv, const std::string& name) {
  return SpaceParser(csv, name).parse();
}

ReplayedSpace read_replayed_space(const std::filesystem::path& path) {
  std::string text = read_text_file(path, kMaxFileBytes);
  if (is_gzip(text)) text = gunzip(std::as_bytes(std::span(text)), kMaxTextBytes, path.string());
  ReplayedSpace space = parse_replayed_space(text, path.string());
  space.name = space_name(path);
  return space;
}

}  // namespace duet
