#include "tuner/compile_pool.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/error.h"
#include "tests/tuner/fakes.h"

namespace duet {
namespace {

TEST(CompilePool, ResultsComeInOrderAndEqualSourcesCompileOnce) {
  FakeCompiler compiler;
  std::vector<KernelSource> sources;
  for (int i = 0; i < 20; ++i)
    sources.push_back(make_source("k" + std::to_string(i % 5), "text " + std::to_string(i % 5)));
  const auto results = compile_all(compiler, sources, "sm_87", 4);
  ASSERT_EQ(results.size(), 20u);
  EXPECT_EQ(compiler.calls, 5);
  for (std::size_t i = 0; i < results.size(); ++i) EXPECT_EQ(results[i].image.hash, sources[i].hash);
}

TEST(CompilePool, ArchitecturesAreApart) {
  FakeCompiler compiler;
  CompilePool pool(compiler, 2);
  EXPECT_EQ(pool.submit(make_source("k"), "sm_87").get().image.arch, "sm_87");
  EXPECT_EQ(pool.submit(make_source("k"), "sm_110").get().image.arch, "sm_110");
  EXPECT_EQ(compiler.calls, 2);
}

TEST(CompilePool, AFailedCompileIsAResult) {
  FakeCompiler compiler;
  compiler.fails = [](const KernelSource& source) { return source.entry == "bad"; };
  CompilePool pool(compiler, 1);
  const CompileResult result = pool.submit(make_source("bad"), "sm_87").get();
  EXPECT_FALSE(result.ok);
  EXPECT_EQ(result.log, "error: no");
}

TEST(CompilePool, AnExceptionReachesTheCaller) {
  class Missing : public KernelCompiler {
    CompileResult compile(const KernelSource&, const std::string&) override { fail(ErrorKind::missing, "no compiler"); }
    std::string version() const override { return ""; }
  } compiler;
  CompilePool pool(compiler, 1);
  EXPECT_THROW(pool.submit(make_source("k"), "sm_87").get(), Error);
}

TEST(CompilePool, StopEndsSoon) {
  FakeCompiler compiler;
  compiler.delay = std::chrono::milliseconds(30);
  std::vector<KernelSource> sources;
  for (int i = 0; i < 1000; ++i) sources.push_back(make_source("k" + std::to_string(i), std::to_string(i)));
  std::atomic<bool> stop{false};
  std::thread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    stop = true;
  });
  const auto start = std::chrono::steady_clock::now();
  const auto results = compile_all(compiler, sources, "sm_87", 2, &stop);
  stopper.join();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
  EXPECT_EQ(results.size(), 1000u);
  EXPECT_TRUE(results.front().ok);
  EXPECT_EQ(results.back().log, "stopped");
}

TEST(CompilePool, DroppedWorkMayBeAskedForAgain) {
  FakeCompiler compiler;
  compiler.delay = std::chrono::milliseconds(20);
  CompilePool pool(compiler, 1);
  std::vector<CompileFuture> futures;
  for (int i = 0; i < 20; ++i) futures.push_back(pool.submit(make_source("k" + std::to_string(i), "t"), "sm_87"));
  pool.drop_queued();
  EXPECT_EQ(futures.back().get().log, "stopped");
  EXPECT_TRUE(pool.submit(make_source("k19", "t"), "sm_87").get().ok);
}

}  // namespace
}  // namespace duet
