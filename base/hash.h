// Content hashes: 128 bits of XXH3, as 32 hex digits. They name cache entries and detect damage; they are no signature.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace duet {

std::string hash_bytes(std::span<const std::byte> bytes);
std::string hash_text(std::string_view text);

}  // namespace duet
