#include "emulator/host_compiler.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <set>
#include <sstream>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "emulator/embedded_header.h"
#include "emulator/run_command.h"
#include "templates/embedded.h"

namespace duet::emulator {
namespace fs = std::filesystem;
namespace {

constexpr std::chrono::seconds kVersionTimeout{20};

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

bool is_executable_in_path(const std::string& program) {
  if (program.find('/') != std::string::npos) return access(program.c_str(), X_OK) == 0;
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (access((fs::path(folder) / program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

// The compiler that built the worker comes first: their sanitizer runtimes must agree.
std::vector<std::string> find_compiler() {
  if (const char* chosen = std::getenv("CXX"); chosen != nullptr && *chosen != '\0') return words_of(chosen);
#if defined(__clang__)
  constexpr const char* kNames[] = {"clang++", "g++", "c++"};
#else
  constexpr const char* kNames[] = {"g++", "clang++", "c++"};
#endif
  for (const char* name : kNames) {
    if (is_executable_in_path(name)) return {name};
  }
  return {};
}

std::string first_line_with(const std::string& text, std::string_view word) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.find(word) != std::string::npos) return line;
  }
  return {};
}

// Unique among the processes that share the cache, and the threads of this one.
std::string unique_suffix() {
  static std::atomic<unsigned> counter{0};
  return fmt::format("{}-{}", getpid(), counter++);
}

fs::path write_embedded_headers(const fs::path& cache_dir) {
  const std::string hash = hash_text(std::string(embedded_templates_hash()) + std::string(embedded_host_header()));
  const fs::path folder = cache_dir / ("include-" + hash.substr(0, 16));
  if (fs::exists(folder)) return folder;
  const fs::path unfinished = folder.string() + "." + unique_suffix();
  const auto write = [&](std::string_view path, std::string_view text) {
    fs::create_directories((unfinished / path).parent_path());
    publish_file(unfinished / path, text);
  };
  for (const EmbeddedFile& file : embedded_templates()) write(file.path, file.text);
  write("emulator/intrinsics_host.h", embedded_host_header());
  std::error_code error;
  fs::rename(unfinished, folder, error);
  if (error) fs::remove_all(unfinished, error);  // another process was first
  return folder;
}

// Changes whenever a file that stubs include changes.
std::string hash_of_includes(const fs::path& include_dir) {
  std::vector<fs::path> files{include_dir / "emulator" / "intrinsics_host.h"};
  for (const auto& entry : fs::recursive_directory_iterator(include_dir / "templates")) {
    const fs::path extension = entry.path().extension();
    if (extension == ".h" || extension == ".cuh") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::string all;
  for (const fs::path& file : files) {
    all += file.lexically_relative(include_dir).string() + '\n' + read_text_file(file, std::uint64_t{1} << 24);
  }
  return hash_text(all);
}

}  // namespace

std::string join_stubs(std::span<const std::string> stubs) {
  std::vector<std::string> includes;
  std::string bodies;
  for (std::size_t i = 0; i < stubs.size(); ++i) {
    bodies += fmt::format("namespace duet::stub_{} {{\n", i);
    std::istringstream lines(stubs[i]);
    for (std::string line; std::getline(lines, line);) {
      if (!line.starts_with("#include")) {
        bodies += line + '\n';
      } else if (std::find(includes.begin(), includes.end(), line) == includes.end()) {
        includes.push_back(line);
      }
    }
    bodies += fmt::format("}}  // namespace duet::stub_{}\n\n", i);
  }
  return fmt::format("{}\n\n{}", fmt::join(includes, "\n"), bodies);
}

HostCompiler::HostCompiler(HostCompilerOptions options) : options_(std::move(options)), command_(find_compiler()) {
  if (options_.cache_dir.empty()) options_.cache_dir = default_cache_dir() / "emulator";
  std::error_code error;
  fs::create_directories(options_.cache_dir, error);
  if (error) {
    fail(ErrorKind::input, "the cache folder {} cannot be made: {}; set XDG_CACHE_HOME to a writable one",
         options_.cache_dir.string(), error.message());
  }
  if (options_.include_dir.empty()) options_.include_dir = write_embedded_headers(options_.cache_dir);
  if (!command_.empty()) {
    std::vector<std::string> query = command_;
    query.push_back("--version");
    const CommandResult result = run_command(query, kVersionTimeout);
    if (result.exit_code == 0) version_ = result.output.substr(0, result.output.find('\n'));
  }
  identity_ = hash_text(
      fmt::format("{}\n{}\n{}", version_, fmt::join(arguments("", ""), " "), hash_of_includes(options_.include_dir)));
}

std::vector<std::string> HostCompiler::arguments(const fs::path& source, const fs::path& object) const {
  std::vector<std::string> list = command_;
  const auto add = [&](std::initializer_list<const char*> flags) {
    list.insert(list.end(), flags.begin(), flags.end());
  };
  // Hidden symbols: two stubs may instantiate the same templates with different configurations of the same name, which
  // the dynamic linker must not merge. No contraction: the same bits from every compiler. Stack probes: no frame may
  // step over the guard of its fiber's stack. -O1: compiling a stub takes longer than running it.
  add({"-std=c++17", "-O1", "-g1", "-fPIC", "-shared", "-fvisibility=hidden", "-fno-math-errno", "-ffp-contract=off",
       "-fstack-clash-protection", "-w"});
  // g++ 12's folding of identical functions merges kernels' helpers over arrays of different extents and then cuts
  // their loops short ("iteration 2 invokes undefined behavior"): wrong results, seen with odd fragment counts.
  if (version_.find("clang") == std::string::npos) add({"-fno-gnu-unique", "-fno-ipa-icf"});
  if (options_.sanitize) {
    add({"-fsanitize=address,alignment", "-fno-sanitize-recover=alignment", "-fno-omit-frame-pointer"});
  }
  list.push_back("-I" + options_.include_dir.string());
  list.insert(list.end(), {source.string(), "-o", object.string()});
  return list;
}

std::string HostCompiler::key_of(const std::string& stub) const { return hash_text(identity_ + stub); }

fs::path HostCompiler::object_of(const std::string& key) const { return options_.cache_dir / (key + ".so"); }

HostCompileResult HostCompiler::compile(const std::string& stub) { return compile(std::span(&stub, 1)).front(); }

std::vector<HostCompileResult> HostCompiler::compile(std::span<const std::string> stubs) {
  std::vector<HostCompileResult> results(stubs.size());
  std::vector<std::string> missing, missing_keys;
  std::vector<std::size_t> missing_at;
  std::set<std::string> distinct;
  for (std::size_t i = 0; i < stubs.size(); ++i) {
    const std::string key = key_of(stubs[i]);
    if (fs::exists(object_of(key))) {
      results[i] = {.ok = true, .shared_object = object_of(key), .error = {}, .log = {}, .cached = true};
      continue;
    }
    missing_at.push_back(i);
    if (!distinct.insert(key).second) continue;
    missing.push_back(stubs[i]);
    missing_keys.push_back(key);
  }
  if (missing.empty()) return results;
  HostCompileResult together = compile_source(missing.size() == 1 ? missing[0] : join_stubs(missing), missing_keys);
  for (const std::size_t i : missing_at) {
    if (together.ok || missing.size() == 1) {
      results[i] = together;
      if (together.ok) results[i].shared_object = object_of(key_of(stubs[i]));
    } else {
      const std::string key = key_of(stubs[i]);
      results[i] = compile_source(stubs[i], std::span(&key, 1));
    }
  }
  return results;
}

std::vector<HostCompileResult> HostCompiler::compile_batches(std::span<const std::string> stubs,
                                                             std::size_t stubs_per_run) {
  std::vector<HostCompileResult> results(stubs.size());
  std::vector<std::exception_ptr> errors(stubs.size());
  std::atomic<std::size_t> next{0};
  const auto compile_some = [&] {
    for (std::size_t begin; (begin = next.fetch_add(stubs_per_run)) < stubs.size();) {
      try {
        const auto group = stubs.subspan(begin, std::min(stubs_per_run, stubs.size() - begin));
        std::vector<HostCompileResult> compiled = compile(group);
        std::move(compiled.begin(), compiled.end(), results.begin() + static_cast<std::ptrdiff_t>(begin));
      } catch (...) {
        errors[begin] = std::current_exception();
      }
    }
  };
  const std::size_t runs = (stubs.size() + stubs_per_run - 1) / stubs_per_run;
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < std::min<std::size_t>(runs, std::thread::hardware_concurrency()); ++i) {
    threads.emplace_back(compile_some);
  }
  compile_some();
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
  return results;
}

HostCompileResult HostCompiler::compile_source(const std::string& source, std::span<const std::string> keys) const {
  HostCompileResult result;
  if (version_.empty()) {
    result.compiler_failed = true;
    result.error = command_.empty()
                       ? "no C++ compiler: the emulator needs g++ or clang++ in PATH, or CXX set to one"
                       : fmt::format("the C++ compiler '{}' does not run; set CXX to g++ or clang++", command_.front());
    return result;
  }
  const std::string name = keys.front() + "." + unique_suffix();
  const fs::path source_path = options_.cache_dir / (name + ".cpp"), object_path = options_.cache_dir / (name + ".tmp");
  publish_file(source_path, source);
  const CommandResult run = run_command(arguments(source_path, object_path), options_.timeout);
  result.log = run.output;
  std::error_code ignored;
  if (run.exit_code == 0) {
    // Under each stub's key, so that another mix of stubs finds it too. The source stays beside the object.
    for (const std::string& key : keys) {
      fs::create_hard_link(object_path, object_of(key), ignored);
      if (ignored && !fs::exists(object_of(key))) fs::copy_file(object_path, object_of(key), ignored);
    }
    result.ok = fs::exists(object_of(keys.front()), ignored);
    result.shared_object = object_of(keys.front());
    result.compiler_failed = !result.ok;
    if (!result.ok) result.error = "the compiled kernel could not be stored in " + options_.cache_dir.string();
    fs::rename(source_path, options_.cache_dir / (keys.front() + ".cpp"), ignored);
  } else {
    fs::remove(source_path, ignored);
    const std::string line = first_line_with(run.output, "error");
    constexpr int kCannotRun = 126;  // and above: not found, ended by a signal
    result.compiler_failed = run.timed_out || run.exit_code >= kCannotRun || line.empty();
    result.error = run.timed_out ? fmt::format("the host compiler did not finish within {} s", options_.timeout.count())
                                 : fmt::format("the stub does not compile for the emulator: {}",
                                               line.empty() ? fmt::format("exit status {}", run.exit_code) : line);
  }
  fs::remove(object_path, ignored);
  return result;
}

}  // namespace duet::emulator
