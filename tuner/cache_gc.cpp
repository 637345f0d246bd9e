#include "tuner/cache_gc.h"

#include <algorithm>
#include <tuple>

#include "tuner/compile_cache.h"

namespace duet {
namespace {

namespace fs = std::filesystem;

std::uint64_t bytes_in(const fs::path& folder) {
  std::uint64_t bytes = 0;
  std::error_code error;
  for (fs::directory_iterator file(folder, error), end; !error && file != end; file.increment(error)) {
    std::error_code vanished;
    const std::uintmax_t size = fs::file_size(file->path(), vanished);
    if (!vanished) bytes += size;
  }
  return bytes;
}

// Another process may be removing it: what cannot be looked at is not listed.
void add_entry(const fs::path& folder, std::vector<CacheEntry>& entries) {
  std::error_code vanished;
  const fs::file_time_type used = last_use_of_entry(folder, vanished);
  if (vanished) return;
  entries.push_back(
      {.folder = folder, .image_hash = image_hash_of_entry(folder), .bytes = bytes_in(folder), .last_used = used});
}

}  // namespace

std::vector<CacheEntry> list_cache(const fs::path& root) {
  std::vector<CacheEntry> entries;
  std::error_code error;
  for (fs::directory_iterator group(root, error), end; !error && group != end; group.increment(error)) {
    std::error_code ignored;
    if (!is_entry_group(group->path())) continue;
    for (fs::directory_iterator entry(group->path(), ignored); !ignored && entry != end; entry.increment(ignored))
      add_entry(entry->path(), entries);
  }
  std::sort(entries.begin(), entries.end(), [](const CacheEntry& a, const CacheEntry& b) {
    return std::tie(a.last_used, a.folder) < std::tie(b.last_used, b.folder);
  });
  return entries;
}

std::vector<CacheEntry> choose_garbage(const std::vector<CacheEntry>& entries, const CacheLimits& limits,
                                       fs::file_time_type now) {
  std::uint64_t bytes = 0;
  for (const CacheEntry& entry : entries) bytes += entry.bytes;
  std::vector<CacheEntry> garbage;
  for (const CacheEntry& entry : entries) {
    if (limits.needed.contains(entry.image_hash)) continue;
    const bool old = limits.keep_hours && now - entry.last_used > *limits.keep_hours;
    const bool too_many = limits.max_bytes && bytes > *limits.max_bytes;
    if (!old && !too_many) continue;
    garbage.push_back(entry);
    bytes -= entry.bytes;
  }
  return garbage;
}

CacheReport bound_cache(const fs::path& root, const CacheLimits& limits, bool dry_run) {
  const std::vector<CacheEntry> entries = list_cache(root);
  CacheReport report;
  for (const CacheEntry& entry : entries) {
    ++report.entries;
    report.bytes += entry.bytes;
    if (!limits.needed.contains(entry.image_hash)) continue;
    ++report.needed;
    report.needed_bytes += entry.bytes;
  }
  for (const CacheEntry& entry : choose_garbage(entries, limits, fs::file_time_type::clock::now())) {
    if (!dry_run && !remove_entry(root, entry.folder, entry.last_used)) continue;
    ++report.removed;
    report.removed_bytes += entry.bytes;
  }
  return report;
}

}  // namespace duet
