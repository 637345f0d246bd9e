// Compiled images on disk, by content: the same stub, templates, options, compiler and architecture compile once.
//
// An entry is a folder <root>/<two digits>/<key>/ with kernel.cubin, kernel.log, kernel.cu and entry.txt (the hashes of
// image and log). It is written under <root>/tmp and published by renaming, so that concurrent processes only ever see
// finished entries. entry.txt is as young as the entry's last use. A damaged entry is compiled again; a folder that
// cannot be written costs one warning.
#pragma once

#include <atomic>
#include <filesystem>
#include <optional>
#include <string>

#include "tuner/kernel_compiler.h"

namespace duet {

class CompileCache {
 public:
  // Touches nothing on disk until the first store.
  explicit CompileCache(std::filesystem::path root);

  // The image stored under `key`, or none. A damaged entry is none, with one warning.
  std::optional<CompileResult> find(const std::string& key, const KernelSource& source, const std::string& arch,
                                    const std::string& compiler);
  // Keeps a successful result. Never throws: a failure is one warning for the life of the cache.
  void store(const std::string& key, const KernelSource& source, const CompileResult& result);

 private:
  std::filesystem::path entry_folder(const std::string& key) const;
  void publish(const std::filesystem::path& finished, const std::filesystem::path& folder);
  void warn_once(const std::string& text);

  std::filesystem::path root_;
  std::atomic<bool> warned_{false};
  std::atomic<bool> swept_{false};
};

// What the folders of a cache tell those that clear it (cache_gc.h).
bool is_entry_group(const std::filesystem::path& folder);              // <root>/<two digits>
std::string image_hash_of_entry(const std::filesystem::path& folder);  // empty when the entry is damaged
std::filesystem::file_time_type last_use_of_entry(const std::filesystem::path& folder, std::error_code& error);
// At once for every other process. False when it was used since `last_used`, or cannot be removed.
bool remove_entry(const std::filesystem::path& root, const std::filesystem::path& folder,
                  std::filesystem::file_time_type last_used);

// default_cache_dir()/cubins
std::filesystem::path default_compile_cache_dir();

// A compiler that asks the cache first. `compiler` must outlive it.
class CachedCompiler : public KernelCompiler {
 public:
  explicit CachedCompiler(KernelCompiler& compiler, std::filesystem::path root = default_compile_cache_dir());
  CompileResult compile(const KernelSource& source, const std::string& arch) override;
  std::string version() const override { return compiler_.version(); }
  std::string options() const override { return compiler_.options(); }

 private:
  KernelCompiler& compiler_;
  CompileCache cache_;
};

}  // namespace duet
