// Small files that the kernel and the board's tools write: what cannot be read is empty or none, never an error.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace duet {

// Without trailing line breaks, blanks and zeros; at most 1 MiB of it. Sysfs files say nothing of their size.
std::string read_small_file(const std::filesystem::path& path);
// The whole number that the text or file begins with.
std::optional<long long> parse_number(std::string_view text);
std::optional<long long> read_number(const std::filesystem::path& path);
// Sorted; empty when the folder is absent.
std::vector<std::filesystem::path> list_folder(const std::filesystem::path& folder);

}  // namespace duet
