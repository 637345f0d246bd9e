// What the fuzz targets share: the bytes as text or as a file, and what a refusal must look like.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace duet {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// A file of this process, written anew for each input; in memory where the system has a folder for that.
class FuzzFile {
 public:
  explicit FuzzFile(const std::string& name) {
    const std::filesystem::path shared = "/dev/shm";
    folder_ = (std::filesystem::is_directory(shared) ? shared : std::filesystem::temp_directory_path()) /
              ("duet-fuzz-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
    path_ = folder_ / name;
  }
  FuzzFile(const FuzzFile&) = delete;
  FuzzFile& operator=(const FuzzFile&) = delete;
  ~FuzzFile() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  void write(const std::uint8_t* data, std::size_t size) const {
    std::ofstream(path_, std::ios::binary | std::ios::trunc)
        .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  }
  const std::filesystem::path& path() const { return path_; }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_, path_;
};

// Runs what may refuse its input. A refusal is an Error about the input, in one line of bounded length; anything else
// ends the fuzzer as a finding.
template <typename Work>
void expect_value_or_refusal(const Work& work) {
  try {
    work();
  } catch (const Error& error) {
    const std::string_view message = error.what();
    const bool about_input = error.kind() == ErrorKind::input || error.kind() == ErrorKind::missing;
    const bool readable = !message.empty() && message.size() <= 4096 && message.find('\n') == std::string_view::npos;
    if (about_input && readable) return;
    std::fprintf(stderr, "not a proper refusal (kind %d): %s\n", static_cast<int>(error.kind()), error.what());
    std::abort();
  }
}

}  // namespace duet
