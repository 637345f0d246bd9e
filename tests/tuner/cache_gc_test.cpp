#include "tuner/cache_gc.h"

#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"
#include "tests/tuner/fakes.h"
#include "tuner/compile_cache.h"

namespace duet {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;

const fs::file_time_type kNow = fs::file_time_type::clock::now();

CacheEntry entry(const std::string& hash, std::uint64_t bytes, int age_hours) {
  return {.folder = hash, .image_hash = hash, .bytes = bytes, .last_used = kNow - hours(age_hours)};
}

std::vector<std::string> chosen(const std::vector<CacheEntry>& entries, const CacheLimits& limits) {
  std::vector<std::string> hashes;
  for (const CacheEntry& garbage : choose_garbage(entries, limits, kNow)) hashes.push_back(garbage.image_hash);
  return hashes;
}

TEST(CacheGarbage, IsTheOldestUntilTheRestFits) {
  const std::vector<CacheEntry> entries{entry("a", 100, 30), entry("b", 100, 20), entry("c", 100, 10)};
  using Hashes = std::vector<std::string>;
  EXPECT_EQ(chosen(entries, {.max_bytes = 300}), Hashes{});
  EXPECT_EQ(chosen(entries, {.max_bytes = 299}), Hashes{"a"});
  EXPECT_EQ(chosen(entries, {.max_bytes = 0}), (Hashes{"a", "b", "c"}));
  EXPECT_EQ(chosen(entries, {.keep_hours = hours(15)}), (Hashes{"a", "b"}));
  EXPECT_EQ(chosen(entries, {.max_bytes = 150, .keep_hours = hours(25)}), (Hashes{"a", "b"}));
  EXPECT_EQ(chosen(entries, {.max_bytes = 100, .needed = {"a"}}), (Hashes{"b", "c"}));
  EXPECT_EQ(chosen(entries, {}), Hashes{});
}

class CacheOnDisk : public testing::Test {
 protected:
  // The hash of its image; used so long ago.
  std::string compile(const std::string& text, int age_hours) {
    const std::set<fs::path> before = folders();
    const CompileResult result = CachedCompiler(compiler_, folder_.path()).compile(make_source("k", text), "sm_87");
    for (const fs::path& folder : folders())
      if (!before.contains(folder)) fs::last_write_time(folder / "entry.txt", kNow - hours(age_hours));
    return result.image.hash;
  }
  std::set<fs::path> folders() const {
    std::set<fs::path> found;
    for (const CacheEntry& each : list_cache(folder_.path())) found.insert(each.folder);
    return found;
  }
  TempDir folder_;
  FakeCompiler compiler_;
};

TEST_F(CacheOnDisk, IsBoundedAndKeepsWhatIsNeeded) {
  const std::string needed = compile("needed", 50);
  compile("old", 40);
  compile("young", 2);
  EXPECT_EQ(list_cache(folder_.path()).front().image_hash, needed);
  const CacheLimits limits{.keep_hours = hours(24), .needed = {needed}};
  const CacheReport planned = bound_cache(folder_.path(), limits, true);
  EXPECT_EQ(planned.removed, 1);
  EXPECT_EQ(folders().size(), 3u) << "a dry run removes nothing";
  const CacheReport done = bound_cache(folder_.path(), limits, false);
  EXPECT_EQ(done.removed, 1);
  EXPECT_EQ(done.removed_bytes, planned.removed_bytes);
  EXPECT_EQ(done.needed, 1);
  EXPECT_GT(done.removed_bytes, 0u);
  const int calls = compiler_.calls;
  compile("needed", 0);
  compile("young", 0);
  EXPECT_EQ(compiler_.calls, calls);
  compile("old", 0);
  EXPECT_EQ(compiler_.calls, calls + 1);
}

TEST_F(CacheOnDisk, AUseMakesAnEntryYoung) {
  const std::string used = compile("used", 50);
  compile("unused", 40);
  compile("used", 0);
  bound_cache(folder_.path(), {.keep_hours = hours(24)}, false);
  ASSERT_EQ(list_cache(folder_.path()).size(), 1u);
  EXPECT_EQ(list_cache(folder_.path())[0].image_hash, used);
}

TEST_F(CacheOnDisk, WhatIsUsedMeanwhileStays) {
  compile("k", 50);
  const CacheEntry listed = list_cache(folder_.path()).at(0);
  compile("k", 0);
  EXPECT_FALSE(remove_entry(folder_.path(), listed.folder, listed.last_used));
  EXPECT_EQ(folders().size(), 1u);
}

TEST(CacheGarbage, WithoutACacheThereIsNothingToDo) {
  const CacheReport report = bound_cache("/nonexistent/duet/cache", {.max_bytes = 0}, false);
  EXPECT_EQ(report.entries, 0);
}

}  // namespace
}  // namespace duet
