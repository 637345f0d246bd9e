#include "base/hash.h"

#include <fmt/format.h>

#define XXH_INLINE_ALL  // no library to ship
#include <xxhash.h>

namespace duet {

std::string hash_bytes(std::span<const std::byte> bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

std::string hash_text(std::string_view text) { return hash_bytes(std::as_bytes(std::span(text.data(), text.size()))); }

}  // namespace duet
