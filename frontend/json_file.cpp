#include "frontend/json_file.h"

#include "base/error.h"
#include "base/file.h"

namespace duet {
namespace {

constexpr int kMaxDepth = 32;

}  // namespace

nlohmann::json read_json_object(const std::filesystem::path& path, std::uint64_t max_bytes) {
  const std::string text = read_text_file(path, max_bytes);
  const auto limit_depth = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    if (depth > kMaxDepth) fail(ErrorKind::input, "{}: is nested deeper than {}", path.string(), kMaxDepth);
    return true;
  };
  nlohmann::json value;
  try {
    value = nlohmann::json::parse(text, limit_depth);
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorKind::input, "{}: is not JSON: {}", path.string(), error.what());
  }
  if (!value.is_object()) fail(ErrorKind::input, "{}: must be a JSON object", path.string());
  return value;
}

}  // namespace duet
