#include "tuner/recorded_space.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "base/hash.h"
#include "tuner/candidate_log.h"

namespace duet {
namespace {

constexpr std::string_view kFactColumns =
    "time_ms,cost_s,status,registers,spill_bytes,smem_bytes,block_threads,blocks_per_sm";

struct Configuration {
  std::vector<std::string> names;
  std::vector<std::int64_t> values;
};

// Of a file's name.
bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("=_-.,").find(c) != std::string_view::npos;
}

bool is_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

bool parse_parameter(std::string_view text, Configuration& configuration) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || !is_name(text.substr(0, equals))) return false;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data() + equals + 1, text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return false;
  configuration.names.emplace_back(text.substr(0, equals));
  configuration.values.push_back(value);
  return true;
}

// "block_m=64 block_n=32", as config_text writes it; nothing for another text.
std::optional<Configuration> parse_configuration(std::string_view text) {
  Configuration configuration;
  while (!text.empty()) {
    const std::size_t space = std::min(text.find(' '), text.size());
    if (!parse_parameter(text.substr(0, space), configuration)) return std::nullopt;
    text.remove_prefix(std::min(space + 1, text.size()));
  }
  if (configuration.names.empty()) return std::nullopt;
  return configuration;
}

bool is_timed(const CandidateRecord& candidate) { return candidate.status == kStatusOk && candidate.median_us > 0; }

bool tells_of_the_device(const CandidateRecord& candidate) {
  return candidate.provenance == Provenance::measured && (candidate.status != kStatusOk || is_timed(candidate));
}

std::string known(double value) { return value > 0 ? fmt::format("{}", value) : ""; }
std::string known(int value) { return value > 0 ? fmt::format("{}", value) : ""; }

// A text as one cell; quoted where it would break the line.
std::string cell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

std::string row_text(const RecordedRow& row) {
  constexpr double kUsPerMs = 1000;
  const CandidateRecord& c = row.candidate;
  return fmt::format("{},{},{},{},{},{},{},{},{}\n", fmt::join(row.values, ","),
                     is_timed(c) ? known(c.median_us / kUsPerMs) : "", known(c.cost_s), cell(c.status), c.registers,
                     c.spill_bytes, c.smem_bytes, known(c.threads), known(c.blocks_per_sm));
}

}  // namespace

RecordedSpace make_recorded_space(std::span<const CandidateRecord> records) {
  RecordedSpace space;
  std::map<std::vector<std::int64_t>, const CandidateRecord*> newest;
  for (auto record = records.rbegin(); record != records.rend(); ++record) {
    if (!tells_of_the_device(*record)) continue;
    const std::optional<Configuration> configuration = parse_configuration(record->config);
    if (!configuration) continue;
    if (newest.empty()) space.parameters = configuration->names;
    if (configuration->names == space.parameters) newest.try_emplace(configuration->values, &*record);
  }
  for (const auto& [values, record] : newest) {
    space.rows.push_back({.values = values, .candidate = *record});
    space.timed += is_timed(*record) ? 1 : 0;
  }
  return space;
}

std::string recorded_space_csv(const RecordedSpace& space) {
  std::string text = fmt::format("{},{}\n", fmt::join(space.parameters, ","), kFactColumns);
  for (const RecordedRow& row : space.rows) text += row_text(row);
  return text;
}

// What cannot stand in a name, or would make it too long, is told apart by a hash.
std::string recorded_space_file_name(std::string_view text) {
  constexpr std::size_t kMaxBytes = 150, kHashDigits = 8;
  bool faithful = text.size() <= kMaxBytes;
  std::string name;
  for (const char c : text.substr(0, kMaxBytes)) {
    const bool plain = is_plain(c) && !(c == '.' && name.empty());  // a leading point hides a file
    name += plain ? c : '_';
    faithful = faithful && (plain || c == ' ');
  }
  return faithful ? name : name + "-" + hash_text(text).substr(0, kHashDigits);
}

}  // namespace duet
