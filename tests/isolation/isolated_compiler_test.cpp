#include "isolation/isolated_compiler.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/tuner/fakes.h"
#include "tuner/compile_pool.h"

namespace duet {
namespace {

class CompilerWorkers : public testing::Test {
 protected:
  FakeCompiler described_;
  IsolatedCompiler compiler_{described_,
                             {.command = {DUET_TEST_WORKER, "compiler"}, .timeout = std::chrono::milliseconds(300)}};
};

TEST_F(CompilerWorkers, CompileAsTheCompilerDoes) {
  const CompileResult expected = described_.compile(make_source("fine"), "sm_87");
  const CompileResult got = compiler_.compile(make_source("fine"), "sm_87");
  EXPECT_TRUE(got.ok) << got.log;
  EXPECT_EQ(got.image, expected.image);
  EXPECT_EQ(compiler_.version(), described_.version());
}

TEST_F(CompilerWorkers, ACrashIsAResult) {
  const CompileResult crashed = compiler_.compile(make_source("crash"), "sm_87");
  EXPECT_FALSE(crashed.ok);
  EXPECT_EQ(crashed.failure, CompileFailure::crash);
  EXPECT_NE(crashed.log.find("signal 11"), std::string::npos) << crashed.log;
  EXPECT_TRUE(compiler_.compile(make_source("fine"), "sm_87").ok);
}

TEST_F(CompilerWorkers, AHangIsAResult) {
  const CompileResult hung = compiler_.compile(make_source("hang"), "sm_87");
  EXPECT_EQ(hung.failure, CompileFailure::timeout);
  EXPECT_TRUE(compiler_.compile(make_source("fine"), "sm_87").ok);
}

TEST_F(CompilerWorkers, AMissingCompilerEndsTheRun) {
  try {
    compiler_.compile(make_source("absent"), "sm_87");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::missing);
  }
}

TEST_F(CompilerWorkers, ManyThreadsShareThem) {
  std::vector<KernelSource> sources;
  for (int i = 0; i < 40; ++i)
    sources.push_back(make_source(i % 10 == 3 ? "crash" : "k" + std::to_string(i), std::to_string(i)));
  const std::vector<CompileResult> results = compile_all(compiler_, sources, "sm_87", 4);
  for (std::size_t i = 0; i < results.size(); ++i) EXPECT_EQ(results[i].ok, sources[i].entry != "crash") << i;
}

}  // namespace
}  // namespace duet
