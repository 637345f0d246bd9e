// A file mapped read-only into memory. It must not be shortened while mapped.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace duet {

class MappedFile {
 public:
  // Throws Error(input) naming the file: missing, unreadable, not a regular file.
  explicit MappedFile(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace duet
