#include "tuner/compile_cache.h"

#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "base/file.h"
#include "tests/support/temp_dir.h"
#include "tests/tuner/fakes.h"

namespace duet {
namespace {

namespace fs = std::filesystem;

fs::path only_entry(const fs::path& root) {
  for (const auto& item : fs::recursive_directory_iterator(root))
    if (item.path().filename() == "entry.txt") return item.path().parent_path();
  return {};
}

TEST(CompileCache, CompilesOnceAcrossCompilers) {
  const TempDir folder;
  FakeCompiler compiler;
  const KernelSource source = make_source("k", "kernel text");
  const CompileResult first = CachedCompiler(compiler, folder.path()).compile(source, "sm_87");
  const CompileResult second = CachedCompiler(compiler, folder.path()).compile(source, "sm_87");
  EXPECT_EQ(compiler.calls, 1);
  EXPECT_FALSE(first.from_cache);
  EXPECT_TRUE(second.ok && second.from_cache);
  EXPECT_EQ(second.image.bytes, first.image.bytes);
  EXPECT_EQ(second.image.hash, first.image.hash);
  EXPECT_EQ(second.image.arch, "sm_87");
  EXPECT_EQ(second.image.cuda_major, 13);
  EXPECT_EQ(second.image.compiler, "fake 1.0");
  EXPECT_EQ(second.log, first.log);
  EXPECT_EQ(read_text_file(only_entry(folder.path()) / "kernel.cu", 1000), "kernel text");
}

TEST(CompileCache, SourceArchitectureAndVersionAreThePartsOfTheKey) {
  const TempDir folder;
  FakeCompiler compiler;
  CachedCompiler cached(compiler, folder.path());
  cached.compile(make_source("k", "a"), "sm_87");
  cached.compile(make_source("k", "b"), "sm_87");
  cached.compile(make_source("k", "a"), "sm_110");
  compiler.version_text = "fake 2.0";
  cached.compile(make_source("k", "a"), "sm_87");
  EXPECT_EQ(compiler.calls, 4);
}

TEST(CompileCache, FailuresAreNotKept) {
  const TempDir folder;
  FakeCompiler compiler;
  compiler.fails = [](const KernelSource&) { return true; };
  CachedCompiler cached(compiler, folder.path());
  EXPECT_FALSE(cached.compile(make_source("k"), "sm_87").ok);
  EXPECT_FALSE(cached.compile(make_source("k"), "sm_87").ok);
  EXPECT_EQ(compiler.calls, 2);
}

class Damaged : public testing::TestWithParam<const char*> {};

TEST_P(Damaged, EntryIsCompiledAgainAndReplaced) {
  const TempDir folder;
  FakeCompiler compiler;
  CachedCompiler(compiler, folder.path()).compile(make_source("k"), "sm_87");
  std::ofstream(only_entry(folder.path()) / GetParam()) << "damage";
  const CompileResult again = CachedCompiler(compiler, folder.path()).compile(make_source("k"), "sm_87");
  EXPECT_TRUE(again.ok);
  EXPECT_FALSE(again.from_cache);
  EXPECT_EQ(compiler.calls, 2);
  EXPECT_TRUE(CachedCompiler(compiler, folder.path()).compile(make_source("k"), "sm_87").from_cache);
}
INSTANTIATE_TEST_SUITE_P(CompileCache, Damaged, testing::Values("kernel.cubin", "kernel.log", "entry.txt"));

TEST(CompileCache, AMissingFileIsDamage) {
  const TempDir folder;
  FakeCompiler compiler;
  CachedCompiler(compiler, folder.path()).compile(make_source("k"), "sm_87");
  fs::remove(only_entry(folder.path()) / "kernel.cubin");
  EXPECT_TRUE(CachedCompiler(compiler, folder.path()).compile(make_source("k"), "sm_87").ok);
  EXPECT_EQ(compiler.calls, 2);
}

TEST(CompileCache, WorksWithoutAPlaceToWrite) {
  const TempDir folder;
  std::ofstream(folder / "file") << "a file where the folder should be";
  FakeCompiler compiler;
  CachedCompiler cached(compiler, folder / "file");
  testing::internal::CaptureStderr();
  EXPECT_TRUE(cached.compile(make_source("a", "a"), "sm_87").ok);
  EXPECT_TRUE(cached.compile(make_source("b", "b"), "sm_87").ok);
  const std::string said = testing::internal::GetCapturedStderr();
  const std::size_t first = said.find("compile cache");
  EXPECT_NE(first, std::string::npos);
  EXPECT_EQ(said.find("compile cache", first + 1), std::string::npos) << "one warning is enough";
}

TEST(CompileCache, WritersOfOneKeyDoNotDisturbEachOther) {
  const TempDir folder;
  FakeCompiler compiler;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      for (int j = 0; j < 10; ++j)
        EXPECT_TRUE(CachedCompiler(compiler, folder.path())
                        .compile(make_source("k" + std::to_string(j), std::to_string(j)), "sm_87")
                        .ok);
    });
  for (std::thread& thread : threads) thread.join();
  const int before = compiler.calls;
  for (int j = 0; j < 10; ++j)
    EXPECT_TRUE(CachedCompiler(compiler, folder.path())
                    .compile(make_source("k" + std::to_string(j), std::to_string(j)), "sm_87")
                    .from_cache);
  EXPECT_EQ(compiler.calls, before);
  EXPECT_TRUE(fs::is_empty(folder / "tmp"));
}

}  // namespace
}  // namespace duet
