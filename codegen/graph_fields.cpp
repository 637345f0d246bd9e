#include "codegen/graph_fields.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>
#include <vector>

#include "base/one_line.h"

namespace duet {
namespace {

constexpr std::size_t kLongestIdentifier = 64;
constexpr std::size_t kLongestWeightName = 256;

template <typename Number>
std::optional<Number> parse_whole(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<std::string_view> symbol_names(const Symbols& symbols) {
  std::vector<std::string_view> names;
  for (const auto& [name, value] : symbols) names.push_back(name);
  return names;
}

double symbol_value(const FilePlace& place, std::string_view name, const Symbols& symbols) {
  const auto found = symbols.find(name);
  if (found == symbols.end())
    place.fail(fmt::format("unknown parameter '{}'{}", printable(name), suggestion(name, symbol_names(symbols))));
  return found->second;
}

bool looks_like_name(std::string_view text) {
  return !text.empty() && (std::isalpha(static_cast<unsigned char>(text.front())) || text.front() == '_');
}

std::int64_t integer_from_text(const FilePlace& place, std::string_view text, std::string_view what,
                               const Symbols& symbols) {
  if (const auto literal = parse_whole<std::int64_t>(text)) return *literal;
  if (!looks_like_name(text)) place.fail(fmt::format("{} must be an integer, not '{}'", what, printable(text)));
  const double value = symbol_value(place, text, symbols);
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (std::trunc(value) != value || std::abs(value) > kExact)
    place.fail(fmt::format("{} must be an integer, parameter '{}' is {}", what, text, value));
  return static_cast<std::int64_t>(value);
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

bool is_weight_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_' || c == '-' || c == '/';
}

}  // namespace

void FilePlace::fail(std::string_view message) const {
  if (subject.empty()) duet::fail(ErrorKind::input, "{}:{}: {}", file, line, message);
  duet::fail(ErrorKind::input, "{}:{}: {}: {}", file, line, subject, message);
}

bool is_identifier(std::string_view text) {
  if (!looks_like_name(text) || text.size() > kLongestIdentifier) return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; });
}

void require_identifier(const FilePlace& place, std::string_view text, std::string_view what) {
  if (!is_identifier(text))
    place.fail(fmt::format("{} '{}' must be letters, digits and underscores, at most {}, not starting with a digit",
                           what, printable(text), kLongestIdentifier));
}

std::string substitute(const FilePlace& place, std::string_view text, const Symbols& symbols) {
  std::string result;
  for (std::size_t position = 0; position < text.size();) {
    if (text[position] != '{') {
      result += text[position++];
      continue;
    }
    const std::size_t end = text.find('}', position);
    if (end == std::string_view::npos) place.fail(fmt::format("'{}' has no closing brace", printable(text)));
    const std::string_view name = text.substr(position + 1, end - position - 1);
    if (!is_identifier(name)) place.fail(fmt::format("'{}': a loop variable goes between braces", printable(text)));
    result += std::to_string(integer_from_text(place, name, "a loop variable", symbols));
    position = end + 1;
  }
  return result;
}

void require_known_keys(const FilePlace& place, const YamlNode& map, std::span<const std::string_view> known) {
  for (const auto& [key, value] : map.fields)
    if (std::find(known.begin(), known.end(), key) == known.end())
      place.at(value.key_line).fail(fmt::format("unknown key '{}'{}", printable(key), suggestion(key, known)));
}

const YamlNode& require_kind(const FilePlace& place, const YamlNode& node, YamlNode::Kind kind, std::string_view what) {
  constexpr std::string_view kNames[] = {"a single value", "a list", "a map"};
  if (node.kind != kind)
    place.at(node.line).fail(fmt::format("{} must be {}, not {}", what, kNames[static_cast<std::size_t>(kind)],
                                         kNames[static_cast<std::size_t>(node.kind)]));
  if (kind == YamlNode::Kind::scalar && node.text.empty()) place.at(node.line).fail(fmt::format("{} is empty", what));
  return node;
}

std::int64_t parse_integer(const FilePlace& place, const YamlNode& node, std::string_view what, const Symbols& symbols,
                           std::int64_t least, std::int64_t most) {
  const FilePlace here = place.at(node.line);
  require_kind(here, node, YamlNode::Kind::scalar, what);
  if (node.quoted) here.fail(fmt::format("{} must be an integer, not the string '{}'", what, printable(node.text)));
  const std::int64_t value = integer_from_text(here, node.text, what, symbols);
  if (value < least || value > most)
    here.fail(fmt::format("{} is {}, it must lie between {} and {}", what, value, least, most));
  return value;
}

double parse_number(const FilePlace& place, const YamlNode& node, std::string_view what, const Symbols& symbols) {
  const FilePlace here = place.at(node.line);
  require_kind(here, node, YamlNode::Kind::scalar, what);
  const auto literal = node.quoted ? std::nullopt : parse_whole<double>(node.text);
  if (literal && std::isfinite(*literal)) return *literal;
  if (literal || node.quoted || !looks_like_name(node.text))
    here.fail(fmt::format("{} must be a finite number, not '{}'", what, printable(node.text)));
  return symbol_value(here, node.text, symbols);
}

std::string join_weight_name(const FilePlace& place, std::string_view prefix, std::string_view name) {
  const bool complete = name.starts_with('/');
  if (complete) name.remove_prefix(1);
  if (name.empty() || !std::all_of(name.begin(), name.end(), is_weight_character))
    place.fail(fmt::format("'{}' is not a weight name", printable(name)));
  std::string joined = complete || prefix.empty() ? std::string(name) : fmt::format("{}.{}", prefix, name);
  if (joined.size() > kLongestWeightName)
    place.fail(fmt::format("the weight name '{}' is longer than {} characters", printable(joined), kLongestWeightName));
  return joined;
}

const YamlNode& Fields::required(std::string_view key) const {
  const YamlNode* found = map_.find(key);
  if (found == nullptr) place_.fail(fmt::format("needs the key '{}'", key));
  return *found;
}

std::string Fields::text(std::string_view key) const {
  const YamlNode& node = required(key);
  require_kind(place_, node, YamlNode::Kind::scalar, fmt::format("'{}'", key));
  return substitute(place_.at(node.line), node.text, symbols_);
}

std::int64_t Fields::integer(std::string_view key, std::int64_t least, std::int64_t most) const {
  return parse_integer(place_, required(key), fmt::format("'{}'", key), symbols_, least, most);
}

double Fields::number(std::string_view key, double otherwise) const {
  return has(key) ? parse_number(place_, required(key), fmt::format("'{}'", key), symbols_) : otherwise;
}

bool Fields::flag(std::string_view key, bool otherwise) const {
  if (!has(key)) return otherwise;
  const std::string value = text(key);
  if (value != "true" && value != "false")
    place_.at(required(key).line).fail(fmt::format("'{}' must be true or false, not '{}'", key, printable(value)));
  return value == "true";
}

std::size_t Fields::choice(std::string_view key, std::span<const std::string_view> choices) const {
  if (!has(key)) return 0;
  const std::string value = text(key);
  const auto found = std::find(choices.begin(), choices.end(), value);
  if (found == choices.end())
    place_.at(required(key).line)
        .fail(fmt::format("'{}' is '{}', it must be one of {}{}", key, printable(value), fmt::join(choices, ", "),
                          suggestion(value, choices)));
  return static_cast<std::size_t>(found - choices.begin());
}

WeightSource Fields::weight(std::string_view name, Shape shape) const {
  const std::int64_t rows = shape.empty() ? 1 : shape.front();
  return {.tensor = join_weight_name(place_, weight_prefix_, name), .shape = std::move(shape), .row_end = rows};
}

WeightSource Fields::weight_at(std::string_view key, Shape shape) const {
  const std::string value = text(key);
  const FilePlace here = place_.at(required(key).line);
  const std::size_t bracket = value.find('[');
  if (bracket == std::string::npos) return weight(value, std::move(shape));
  const std::string_view slice = std::string_view(value).substr(bracket);
  const std::size_t colon = slice.find(':');
  const std::size_t of = slice.find(" of ");
  if (!slice.ends_with(']') || colon == std::string_view::npos || of == std::string_view::npos || of < colon)
    here.fail(fmt::format("rows of '{}' are written as name[begin:end of rows]", printable(value)));
  const auto bound = [&](std::size_t begin, std::size_t end, std::string_view what) {
    return integer_from_text(here, trimmed(slice.substr(begin, end - begin)), what, symbols_);
  };
  const std::int64_t begin = bound(1, colon, "the first row");
  const std::int64_t end = bound(colon + 1, of, "the last row");
  const std::int64_t rows = bound(of + 4, slice.size() - 1, "the number of rows");
  if (begin < 0 || begin >= end || end > rows || rows > kMaxDimension)
    here.fail(fmt::format("rows {}:{} do not lie within the {} rows of '{}'", begin, end, rows, printable(value)));
  if (shape.empty() || end - begin != shape.front())
    here.fail(fmt::format("'{}' takes {} rows where {} are needed", printable(value), end - begin,
                          shape.empty() ? 1 : shape.front()));
  shape.front() = rows;
  WeightSource source = weight(std::string_view(value).substr(0, bracket), std::move(shape));
  source.row_begin = begin;
  source.row_end = end;
  return source;
}

}  // namespace duet
