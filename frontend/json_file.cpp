#include "frontend/json_file.h"

#include "base/error.h"
#include "base/file.h"

namespace duet {
namespace {

constexpr int kMaxDepth = 32;

}  // namespace

using nlohmann::json;

json read_json_object(const std::filesystem::path& path, std::uint64_t max_bytes) {
  const std::string text = read_text_file(path, max_bytes);
  const auto limit_depth = [&](int depth, json::parse_event_t, json&) {
    if (depth > kMaxDepth) fail(ErrorKind::input, "{}: is nested deeper than {}", path.string(), kMaxDepth);
    return true;
  };
  json value;
  try {
    value = json::parse(text, limit_depth);
  } catch (const json::exception& error) {
    fail(ErrorKind::input, "{}: is not JSON: {}", path.string(), error.what());
  }
  if (!value.is_object()) fail(ErrorKind::input, "{}: must be a JSON object", path.string());
  return value;
}

const json& json_member(const json& object, const char* key, const std::string& file) {
  const auto found = object.find(key);
  if (found == object.end()) fail(ErrorKind::input, "{}: '{}' is missing", file, key);
  return *found;
}

std::string json_text(const json& value, std::string_view what, const std::string& file) {
  if (!value.is_string()) fail(ErrorKind::input, "{}: {} must be a string", file, what);
  return value.get<std::string>();
}

bool json_flag(const json& object, const char* key, bool otherwise, const std::string& file) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return otherwise;
  if (!found->is_boolean()) fail(ErrorKind::input, "{}: '{}' must be true or false", file, key);
  return found->get<bool>();
}

std::optional<std::string> json_special_token(const json& config, const char* key, const std::string& file) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return std::nullopt;
  std::string name = json_text(found->is_object() ? json_member(*found, "content", file) : *found, key, file);
  if (name.empty()) fail(ErrorKind::input, "{}: '{}' is empty", file, key);
  return name;
}

}  // namespace duet
