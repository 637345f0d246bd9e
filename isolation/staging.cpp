#include "isolation/staging.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "isolation/protocol.h"

namespace duet {

StagingMemory::StagingMemory() : file_(memfd_create("duet-staging", MFD_CLOEXEC)) {
  if (file_ < 0 || ftruncate(file_, static_cast<off_t>(kStagingBytes)) != 0)
    fail(ErrorKind::missing, "no memory to share with a worker process: {}", std::strerror(errno));
  map(kStagingBytes);
}

StagingMemory::StagingMemory(int file) : file_(file) {
  struct stat status {};
  if (fstat(file, &status) != 0 || status.st_size <= 0)
    fail(ErrorKind::internal, "the worker was given no staging memory: start it as `duet tune` does");
  map(static_cast<std::size_t>(status.st_size));
}

void StagingMemory::map(std::size_t size) {
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
  if (memory == MAP_FAILED)
    fail(ErrorKind::missing, "cannot map {} bytes of staging memory: {}", size, std::strerror(errno));
  bytes_ = {static_cast<std::byte*>(memory), size};
}

StagingMemory::~StagingMemory() {
  if (!bytes_.empty()) munmap(bytes_.data(), bytes_.size());
  if (file_ >= 0) close(file_);
}

}  // namespace duet
