// JSON from outside, with limits: a checkpoint's settings are small and flat, whatever claims otherwise is refused.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

namespace duet {

// Throws Error(input) naming the file: unreadable, above `max_bytes`, malformed, nested above 32, or not an object.
nlohmann::json read_json_object(const std::filesystem::path& path, std::uint64_t max_bytes);

}  // namespace duet
