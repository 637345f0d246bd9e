#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "tests/support/error_of.h"
#include "tests/support/temp_dir.h"

namespace duet {
namespace {

TEST(File, PublishThenRead) {
  const TempDir dir;
  publish_file(dir / "a.txt", "one");
  publish_file(dir / "a.txt", "two words");
  EXPECT_EQ(read_text_file(dir / "a.txt", 100), "two words");
  EXPECT_EQ(read_binary_file(dir / "a.txt", 9).size(), 9u);
  publish_file(dir / "empty", "");
  EXPECT_EQ(read_text_file(dir / "empty", 0), "");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 2);  // no temporary stays behind
}

TEST(File, ErrorsNameTheFile) {
  const TempDir dir;
  publish_file(dir / "long", "0123456789");
  EXPECT_NE(
      error_of(ErrorKind::input, [&] { read_text_file(dir / "long", 9); }).find("long: has 10 bytes, the limit is 9"),
      std::string::npos);
  EXPECT_NE(error_of(ErrorKind::input, [&] { read_text_file(dir / "absent", 9); })
                .find("absent: cannot be read: No such file"),
            std::string::npos);
  EXPECT_NE(error_of(ErrorKind::input, [&] { read_text_file(dir.path(), 9); }).find("is not a regular file"),
            std::string::npos);
  EXPECT_NE(error_of(ErrorKind::input, [&] { publish_file(dir / "no/such/folder", "x"); }).find("cannot be written"),
            std::string::npos);
}

TEST(File, PipesDoNotHang) {
  const TempDir dir;
  ASSERT_EQ(::mkfifo((dir / "pipe").c_str(), 0600), 0);
  EXPECT_NE(error_of(ErrorKind::input, [&] { read_text_file(dir / "pipe", 9); }).find("is not a regular file"),
            std::string::npos);
}

TEST(File, TheSystemsOwnFilesAreReadToTheirEnd) { EXPECT_GT(read_text_file("/proc/self/status", 1 << 20).size(), 10u); }

TEST(File, CacheDirFollowsTheEnvironment) {
  ::setenv("XDG_CACHE_HOME", "/somewhere/cache", 1);
  EXPECT_EQ(default_cache_dir(), "/somewhere/cache/duet");
  ::setenv("XDG_CACHE_HOME", "relative", 1);
  ::setenv("HOME", "/home/ann", 1);
  EXPECT_EQ(default_cache_dir(), "/home/ann/.cache/duet");
  ::unsetenv("XDG_CACHE_HOME");
  ::unsetenv("HOME");
  EXPECT_TRUE(default_cache_dir().is_absolute());
}

TEST(Hash, IsXxh3Of128Bits) {
  EXPECT_EQ(hash_text(""), "99aa06d3014798d86001c324468d497f");  // the published value of the empty input
  EXPECT_EQ(hash_text("abc").size(), 32u);
  EXPECT_NE(hash_text("abc"), hash_text("abd"));
  EXPECT_EQ(hash_text("abc"), hash_bytes(std::as_bytes(std::span("abc", 3))));
}

TEST(Log, VerbosityFilters) {
  testing::internal::CaptureStderr();
  set_log_verbosity(0);
  log_at(1, "hidden {}", 1);
  warn("shown {}", 2);
  set_log_verbosity(2);
  log_at(2, "times {}", 3);
  set_log_verbosity(1);
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(text.find("hidden"), std::string::npos);
  EXPECT_NE(text.find("warning: shown 2"), std::string::npos);
  EXPECT_NE(text.find("times 3"), std::string::npos);
}

}  // namespace
}  // namespace duet
