// Generated stubs to a shared object, by the host's C++ compiler. Results are kept on disk by content.
#pragma once

#include <chrono>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace duet::emulator {

struct HostCompilerOptions {
  std::filesystem::path include_dir;  // the repository's root; empty: the files embedded in this library
  std::filesystem::path cache_dir;    // empty: default_cache_dir()/emulator
  bool sanitize = true;               // AddressSanitizer and alignment checks: for the sanitised worker
  std::chrono::seconds timeout{300};  // for one run of the compiler
};

struct HostCompileResult {
  bool ok = false;
  bool compiler_failed = false;         // not the stub's fault: no compiler, killed, out of time or of room
  std::filesystem::path shared_object;  // stubs compiled together share one
  std::string error;                    // one sentence
  std::string log;                      // of the compiler; empty for a cached result
  bool cached = false;
};

class HostCompiler {
 public:
  // Throws Error(input) when the cache folder cannot be written. A missing compiler is no error here: each compile
  // then says so.
  explicit HostCompiler(HostCompilerOptions options = {});

  // One result per stub. Those not in the cache are compiled in one run, which is several times faster than one by one;
  // if that fails, each alone, so that a bad stub does not spoil the others.
  std::vector<HostCompileResult> compile(std::span<const std::string> stubs);
  HostCompileResult compile(const std::string& stub);
  // The same in groups of `stubs_per_run`, as many runs at once as the machine has cores.
  std::vector<HostCompileResult> compile_batches(std::span<const std::string> stubs, std::size_t stubs_per_run);

  // For example "g++ (GCC) 12.2.0"; empty when there is no compiler.
  const std::string& compiler_version() const { return version_; }

 private:
  std::string key_of(const std::string& stub) const;
  std::filesystem::path object_of(const std::string& key) const;
  HostCompileResult compile_source(const std::string& source, std::span<const std::string> keys) const;
  std::vector<std::string> arguments(const std::filesystem::path& source, const std::filesystem::path& object) const;

  HostCompilerOptions options_;
  std::vector<std::string> command_;  // the compiler; $CXX may carry arguments
  std::string version_;
  std::string identity_;  // hash of everything but the stub
};

// One source of several stubs: their includes once, then each in a namespace of its own inside `duet`.
std::string join_stubs(std::span<const std::string> stubs);

}  // namespace duet::emulator
