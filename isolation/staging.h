// Memory that parent and worker share: the bytes of buffers on their way to the device and back.
#pragma once

#include <cstddef>
#include <span>

namespace duet {

class StagingMemory {
 public:
  // Makes it, of kStagingBytes, or as much as a limit on file sizes allows. Throws Error(missing) when the machine has
  // no memory for it.
  StagingMemory();
  // Maps one that the parent made, as large as it is.
  explicit StagingMemory(int file);
  ~StagingMemory();
  StagingMemory(const StagingMemory&) = delete;
  StagingMemory& operator=(const StagingMemory&) = delete;

  int file() const { return file_; }
  std::span<std::byte> bytes() const { return bytes_; }

 private:
  void map(std::size_t size);
  int file_ = -1;
  std::span<std::byte> bytes_;
};

}  // namespace duet
