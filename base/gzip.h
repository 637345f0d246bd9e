// A gzip file in memory: equal texts give equal bytes, since neither time nor name is written into it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace duet {

std::vector<std::byte> gzip(std::string_view text);

// The text of a gzip file, all its members. Throws Error(input) naming `name` when it is damaged, cut short, or holds
// more than `max_bytes`: a small file can unpack to a thousand times its size.
std::string gunzip(std::span<const std::byte> packed, std::uint64_t max_bytes, std::string_view name);
bool is_gzip(std::string_view bytes);

}  // namespace duet
