#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace duet {
namespace {

constexpr std::size_t kReadChunkBytes = std::size_t{1} << 20;

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  // Closing can report a delayed write error, so the writer closes by hand.
  int close() { return ::close(std::exchange(fd_, -1)); }

 private:
  int fd_;
};

std::string system_reason() { return std::strerror(errno); }

// Not st_size bytes but up to the end of the file: the kernel's own files report sizes that are not theirs.
template <typename Container>
Container read_file(const std::filesystem::path& path, std::uint64_t max_bytes) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0)
    fail(ErrorKind::input, "{}: cannot be read: {}", path.string(), system_reason());
  if (!S_ISREG(status.st_mode)) fail(ErrorKind::input, "{}: is not a regular file", path.string());
  const auto reported = static_cast<std::uint64_t>(std::max<off_t>(status.st_size, 0));
  if (reported > max_bytes)
    fail(ErrorKind::input, "{}: has {} bytes, the limit is {}", path.string(), reported, max_bytes);

  Container content;
  std::size_t used = 0;
  content.resize(static_cast<std::size_t>(reported) + 1);  // one spare byte meets the end of the file without growing
  while (true) {
    if (used == content.size()) content.resize(used + kReadChunkBytes);
    const ssize_t count = ::read(file.get(), content.data() + used, content.size() - used);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(ErrorKind::input, "{}: cannot be read: {}", path.string(), system_reason());
    if (count == 0) break;
    used += static_cast<std::size_t>(count);
    if (used > max_bytes) fail(ErrorKind::input, "{}: is larger than the limit of {} bytes", path.string(), max_bytes);
  }
  content.resize(used);
  return content;
}

bool write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

// Unique among processes and threads; in the same folder, so that the rename cannot cross file systems.
std::filesystem::path temporary_beside(const std::filesystem::path& path) {
  static std::atomic<unsigned> counter{0};
  std::filesystem::path temporary = path;
  temporary += fmt::format(".tmp-{}-{}", ::getpid(), counter++);
  return temporary;
}

}  // namespace

std::string read_text_file(const std::filesystem::path& path, std::uint64_t max_bytes) {
  return read_file<std::string>(path, max_bytes);
}

std::vector<std::byte> read_binary_file(const std::filesystem::path& path, std::uint64_t max_bytes) {
  return read_file<std::vector<std::byte>>(path, max_bytes);
}

void publish_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  const std::filesystem::path temporary = temporary_beside(path);
  FileDescriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (file.get() < 0) fail(ErrorKind::input, "{}: cannot be written: {}", path.string(), system_reason());
  const bool published = write_all(file.get(), bytes) && ::fsync(file.get()) == 0 && file.close() == 0 &&
                         ::rename(temporary.c_str(), path.c_str()) == 0;
  if (published) return;
  const std::string reason = system_reason();
  ::unlink(temporary.c_str());
  fail(ErrorKind::input, "{}: cannot be written: {}", path.string(), reason);
}

void publish_file(const std::filesystem::path& path, std::string_view text) {
  publish_file(path, std::as_bytes(std::span(text.data(), text.size())));
}

std::filesystem::path default_cache_dir() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && cache[0] == '/') return std::filesystem::path(cache) / "duet";  // relative ones are ignored
  const char* home = std::getenv("HOME");
  if (home != nullptr && home[0] == '/') return std::filesystem::path(home) / ".cache" / "duet";
  std::error_code ignored;
  std::filesystem::path temporary = std::filesystem::temp_directory_path(ignored);
  if (ignored) temporary = "/tmp";
  return temporary / fmt::format("duet-{}", ::getuid());
}

}  // namespace duet
