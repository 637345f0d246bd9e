#include "isolation/staging.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "isolation/protocol.h"

namespace duet {
namespace {

// A limit on the size of files holds for shared memory too, and asking for more is a signal.
std::size_t allowed_bytes() {
  rlimit limit{};
  if (getrlimit(RLIMIT_FSIZE, &limit) != 0) return kStagingBytes;
  return static_cast<std::size_t>(std::clamp<rlim_t>(limit.rlim_cur, 1, kStagingBytes));
}

}  // namespace

StagingMemory::StagingMemory() : file_(memfd_create("duet-staging", MFD_CLOEXEC)) {
  const std::size_t size = allowed_bytes();
  if (file_ < 0 || ftruncate(file_, static_cast<off_t>(size)) != 0)
    fail(ErrorKind::missing, "no memory to share with a worker process: {}", std::strerror(errno));
  map(size);
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
