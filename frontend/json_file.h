// JSON from outside, with limits: a checkpoint's settings are small and flat, whatever claims otherwise is refused.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace duet {

// Throws Error(input) naming the file: unreadable, above `max_bytes`, malformed, nested above 32, or not an object.
nlohmann::json read_json_object(const std::filesystem::path& path, std::uint64_t max_bytes);

// Parts of such an object. Throw Error(input) naming `file` and what is wrong: absent, of another type.
const nlohmann::json& json_member(const nlohmann::json& object, const char* key, const std::string& file);
std::string json_text(const nlohmann::json& value, std::string_view what, const std::string& file);
bool json_flag(const nlohmann::json& object, const char* key, bool otherwise, const std::string& file);
// A special token of tokenizer_config.json: a string, or an object with its content. Nothing when it is left out.
std::optional<std::string> json_special_token(const nlohmann::json& config, const char* key, const std::string& file);

}  // namespace duet
