// Whole files: read with a size limit, and publish by renaming so that a reader never sees half a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace duet {

// Throw Error(input) naming the file: missing, unreadable, or larger than the limit.
std::string read_text_file(const std::filesystem::path& path, std::uint64_t max_bytes);
std::vector<std::byte> read_binary_file(const std::filesystem::path& path, std::uint64_t max_bytes);
// Writes beside the target and renames over it. Throws Error(input) with the system's reason (full disk, read-only).
void publish_file(const std::filesystem::path& path, std::span<const std::byte> bytes);
void publish_file(const std::filesystem::path& path, std::string_view text);
// $XDG_CACHE_HOME/duet, else ~/.cache/duet, else a folder under the system's temporary directory.
std::filesystem::path default_cache_dir();

}  // namespace duet
