// Bounds the compile cache: what was not used for long goes, then what was used least recently.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace duet {

struct CacheEntry {
  std::filesystem::path folder{};
  std::string image_hash{};  // empty when the entry is damaged
  std::uint64_t bytes = 0;
  std::filesystem::file_time_type last_used{};
};

struct CacheLimits {
  std::optional<std::uint64_t> max_bytes{};        // of all entries together
  std::optional<std::chrono::hours> keep_hours{};  // since an entry was last used
  std::set<std::string> needed{};                  // image hashes that stay whatever the limits
};

struct CacheReport {
  int entries = 0, removed = 0, needed = 0;
  std::uint64_t bytes = 0, removed_bytes = 0, needed_bytes = 0;
};

// In the order of their last use, the oldest first. Empty where there is no cache.
std::vector<CacheEntry> list_cache(const std::filesystem::path& root);
// Those to remove, in that order. Pure.
std::vector<CacheEntry> choose_garbage(const std::vector<CacheEntry>& entries, const CacheLimits& limits,
                                       std::filesystem::file_time_type now);
// Safe beside processes that use the cache: an entry goes at once, and one used meanwhile stays. With `dry_run` nothing
// is removed, and the report tells what would be.
CacheReport bound_cache(const std::filesystem::path& root, const CacheLimits& limits, bool dry_run);

}  // namespace duet
