#include "tuner/compile_cache.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <sstream>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "tuner/cubin_info.h"

namespace duet {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxImageBytes = std::uint64_t{64} << 20;
constexpr std::uint64_t kMaxTextBytes = std::uint64_t{16} << 20;
constexpr std::uint64_t kMaxEntryBytes = 4096;
constexpr auto kAbandonedAfter = std::chrono::hours(24);

struct Entry {
  std::string image_hash, log_hash;
  int cuda_major = 0;
};

std::string entry_text(const Entry& entry) {
  return fmt::format("duet-cubin 1\nimage {}\nlog {}\ncuda_major {}\n", entry.image_hash, entry.log_hash,
                     entry.cuda_major);
}

std::optional<Entry> parse_entry(const std::string& text) {
  std::istringstream stream(text);
  std::string magic, version, image, log, major;
  Entry entry;
  stream >> magic >> version >> image >> entry.image_hash >> log >> entry.log_hash >> major >> entry.cuda_major;
  const bool valid =
      stream && magic == "duet-cubin" && version == "1" && image == "image" && log == "log" && major == "cuda_major";
  return valid ? std::optional<Entry>(entry) : std::nullopt;
}

std::string cache_key(const KernelSource& source, const std::string& arch, const KernelCompiler& compiler) {
  return hash_text(fmt::format("{}\n{}\n{}\n{}\n{}\n{}", source.hash, source.entry, arch, compiler.version(),
                               compiler.options(), source.text));
}

fs::path temporary_folder(const fs::path& root) {
  static std::atomic<unsigned> counter{0};
  return root / "tmp" / fmt::format("{}-{}", ::getpid(), counter++);
}

// What a killed process left behind.
void sweep_abandoned(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    const auto written = fs::last_write_time(entry->path(), ignored);
    if (!ignored && fs::file_time_type::clock::now() - written > kAbandonedAfter)
      fs::remove_all(entry->path(), ignored);
  }
}

// Best effort, and once an hour at most: flash wears, and the order of use needs no more.
void note_use(const fs::path& folder) {
  constexpr auto kPrecision = std::chrono::hours(1);
  const auto now = fs::file_time_type::clock::now();
  std::error_code ignored;
  if (now - last_use_of_entry(folder, ignored) > kPrecision && !ignored)
    fs::last_write_time(folder / "entry.txt", now, ignored);
}

CompileResult read_entry(const fs::path& folder) {
  const auto entry = parse_entry(read_text_file(folder / "entry.txt", kMaxEntryBytes));
  if (!entry) fail(ErrorKind::input, "{}: is no cache entry", (folder / "entry.txt").string());
  CompileResult result;
  result.image.bytes = read_binary_file(folder / "kernel.cubin", kMaxImageBytes);
  result.log = read_text_file(folder / "kernel.log", kMaxTextBytes);
  result.image.hash = hash_bytes(result.image.bytes);
  result.image.cuda_major = entry->cuda_major;
  if (result.image.hash != entry->image_hash || hash_text(result.log) != entry->log_hash)
    fail(ErrorKind::input, "{}: does not match its hash", folder.string());
  return result;
}

bool is_intact(const fs::path& folder) {
  try {
    read_entry(folder);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

fs::file_time_type last_use_of_entry(const fs::path& folder, std::error_code& error) {
  return fs::last_write_time(fs::exists(folder / "entry.txt", error) ? folder / "entry.txt" : folder, error);
}

fs::path default_compile_cache_dir() { return default_cache_dir() / "cubins"; }

CompileCache::CompileCache(fs::path root) : root_(std::move(root)) {}

fs::path CompileCache::entry_folder(const std::string& key) const { return root_ / key.substr(0, 2) / key; }

void CompileCache::warn_once(const std::string& text) {
  if (!warned_.exchange(true)) warn("{}", text);
}

std::optional<CompileResult> CompileCache::find(const std::string& key, const KernelSource& source,
                                                const std::string& arch, const std::string& compiler) {
  const fs::path folder = entry_folder(key);
  std::error_code ignored;
  if (!fs::exists(folder, ignored)) return std::nullopt;
  try {
    CompileResult result = read_entry(folder);
    result.image.arch = arch;
    result.image.compiler = compiler;
    fill_usage(result.image, source.entry, result.log);
    result.ok = result.from_cache = true;
    note_use(folder);
    return result;
  } catch (const Error& error) {
    if (!fs::exists(folder, ignored)) return std::nullopt;  // cleared by another process meanwhile
    warn_once(fmt::format("compile cache: {}; compiling again", error.what()));
    return std::nullopt;
  }
}

// Of several writers of one key the first wins: their contents are equal. A damaged entry gives way.
void CompileCache::publish(const fs::path& finished, const fs::path& folder) {
  fs::create_directories(folder.parent_path());
  std::error_code error, ignored;
  fs::rename(finished, folder, error);
  if (!error) return;
  if (!is_intact(folder)) {
    fs::remove_all(folder, ignored);
    fs::rename(finished, folder, error);
  }
  fs::remove_all(finished, ignored);
}

void CompileCache::store(const std::string& key, const KernelSource& source, const CompileResult& result) {
  const fs::path temporary = temporary_folder(root_);
  try {
    if (!swept_.exchange(true)) sweep_abandoned(root_ / "tmp");
    fs::create_directories(temporary);
    publish_file(temporary / "kernel.cubin", result.image.bytes);
    publish_file(temporary / "kernel.log", result.log);
    publish_file(temporary / "kernel.cu", source.text);
    publish_file(temporary / "entry.txt", entry_text({.image_hash = hash_bytes(result.image.bytes),
                                                      .log_hash = hash_text(result.log),
                                                      .cuda_major = result.image.cuda_major}));
    publish(temporary, entry_folder(key));
  } catch (const std::exception& error) {
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
    warn_once(fmt::format("compile cache: {}; going on without it", error.what()));
  }
}

bool is_entry_group(const fs::path& folder) {
  std::error_code ignored;
  return folder.filename().string().size() == 2 && fs::is_directory(folder, ignored);
}

std::string image_hash_of_entry(const fs::path& folder) {
  try {
    const auto entry = parse_entry(read_text_file(folder / "entry.txt", kMaxEntryBytes));
    return entry ? entry->image_hash : std::string();
  } catch (const Error&) {
    return {};
  }
}

bool remove_entry(const fs::path& root, const fs::path& folder, fs::file_time_type last_used) {
  std::error_code error, ignored;
  if (last_use_of_entry(folder, ignored) > last_used) return false;
  const fs::path temporary = temporary_folder(root);
  fs::create_directories(temporary.parent_path(), error);
  if (!error) fs::rename(folder, temporary, error);
  if (error) return false;
  fs::remove_all(temporary, ignored);
  return true;
}

CachedCompiler::CachedCompiler(KernelCompiler& compiler, fs::path root)
    : compiler_(compiler), cache_(std::move(root)) {}

CompileResult CachedCompiler::compile(const KernelSource& source, const std::string& arch) {
  const std::string key = cache_key(source, arch, compiler_);
  if (auto found = cache_.find(key, source, arch, compiler_.version())) return *found;
  CompileResult result = compiler_.compile(source, arch);
  if (result.ok) cache_.store(key, source, result);
  return result;
}

}  // namespace duet
