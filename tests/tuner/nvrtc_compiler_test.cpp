// What NVRTC makes of small sources. Needs NVRTC, but no GPU: the architecture is an argument.
#include "tuner/nvrtc_compiler.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "tests/support/temp_dir.h"
#include "tests/tuner/fakes.h"
#include "tuner/cubin_info.h"

namespace duet {
namespace {

class Nvrtc : public testing::Test {
 protected:
  void SetUp() override {
    try {
      compiler_.version();
    } catch (const Error& error) {
      GTEST_SKIP() << error.what();
    }
  }
  NvrtcCompiler compiler_;
};

constexpr const char* kSource = R"(#include "templates/device/types.h"
extern "C" __global__ void reverse(float* p) {
  __shared__ float tile[64];
  tile[threadIdx.x] = p[threadIdx.x];
  __syncthreads();
  p[threadIdx.x] = tile[duet::round_up(60, 64) - 1 - threadIdx.x];
}
)";

TEST_F(Nvrtc, CompilesForArchitecturesThatAreNotHere) {
  for (const char* arch : {"sm_87", "sm_90"}) {
    const CompileResult result = compiler_.compile(make_source("reverse", kSource), arch);
    ASSERT_TRUE(result.ok) << result.log;
    EXPECT_EQ(result.image.arch, arch);
    EXPECT_GE(result.image.cuda_major, 12);
    EXPECT_EQ(result.image.compiler, compiler_.version());
    EXPECT_GT(result.image.registers, 0);
    EXPECT_EQ(result.image.static_smem_bytes, 256);
    EXPECT_EQ(result.image.spill_bytes, 0);
    EXPECT_TRUE(read_ptxas_log(result.log).found);
    EXPECT_FALSE(read_cubin_info(result.image.bytes, "reverse").text_hash.empty());
  }
}

TEST_F(Nvrtc, AnErrorKeepsTheLogWithItsLine) {
  const CompileResult result = compiler_.compile(make_source("bad", "\nint x = y;\n"), "sm_87");
  EXPECT_FALSE(result.ok);
  EXPECT_NE(result.log.find("bad.cu(2)"), std::string::npos) << result.log;
}

TEST_F(Nvrtc, AnUnknownArchitectureIsAResult) {
  const CompileResult result = compiler_.compile(make_source("reverse", kSource), "sm_3");
  EXPECT_FALSE(result.ok);
  EXPECT_FALSE(result.log.empty());
}

TEST_F(Nvrtc, OldModulesAndUnknownArchitecturesSayWhatToDo) {
  EXPECT_EQ(compiler_.why_unsupported("sm_87"), "");
  EXPECT_NE(compiler_.why_unsupported("sm_53").find("JetPack 4 (CUDA 10.2)"), std::string::npos);
  EXPECT_NE(compiler_.compile(make_source("reverse", kSource), "sm_72").log.find("JetPack 5"), std::string::npos);
  EXPECT_NE(compiler_.why_unsupported("sm_12").find("sm_87"), std::string::npos);  // those it knows
}

// The NVRTC of CUDA 12, whose images JetPack 6 takes: where its wheel is found, or DUET_NVRTC names it.
TEST(NvrtcOfCuda12, CompilesForOrinAndRefusesThor) {
  NvrtcCompiler compiler(12);
  try {
    compiler.version();
  } catch (const Error& error) {
    GTEST_SKIP() << error.what();
  }
  const CompileResult result = compiler.compile(make_source("reverse", kSource), "sm_87");
  ASSERT_TRUE(result.ok) << result.log;
  EXPECT_EQ(result.image.cuda_major, 12);
  EXPECT_EQ(result.image.compiler.rfind("NVRTC 12.", 0), 0U);
  EXPECT_GT(result.image.registers, 0);
  const CompileResult thor = compiler.compile(make_source("reverse", kSource), "sm_110");
  EXPECT_FALSE(thor.ok);
  EXPECT_NE(thor.log.find("sm_101"), std::string::npos) << thor.log;
}

TEST(NvrtcSupport, NamesTheCompilerThatIsNeeded) {
  const std::vector<int> cuda12 = {50, 87, 101}, cuda13 = {75, 87, 110};
  EXPECT_EQ(why_unsupported("sm_87", {12, 9}, cuda12), "");
  EXPECT_EQ(why_unsupported("sm_110a", {13, 0}, cuda13), "");
  EXPECT_EQ(why_unsupported("sm_200", {13, 0}, {}), "");  // it cannot say
  EXPECT_NE(why_unsupported("sm_110", {12, 9}, cuda12).find("use NVRTC 13"), std::string::npos);
  EXPECT_EQ(why_unsupported("sm_101", {13, 0}, cuda13),
            "NVRTC 13.0 does not compile for sm_101; it knows sm_75, sm_87, sm_110");
  EXPECT_NE(why_too_old("sm_62").find("JetPack 4"), std::string::npos);
  EXPECT_NE(why_too_old("sm_72").find("CUDA 11.4"), std::string::npos);
  EXPECT_EQ(why_too_old("sm_87"), "");
  EXPECT_EQ(why_too_old("nonsense"), "");
}

TEST_F(Nvrtc, TwinsUnderTwoNamesHaveOneCode) {
  std::string renamed = kSource;
  renamed.replace(renamed.find("reverse"), std::strlen("reverse"), "another");
  const CompileResult a = compiler_.compile(make_source("reverse", kSource), "sm_87");
  const CompileResult b = compiler_.compile(make_source("another", renamed), "sm_87");
  ASSERT_TRUE(a.ok && b.ok);
  EXPECT_NE(a.image.hash, b.image.hash);
  EXPECT_EQ(read_cubin_info(a.image.bytes, "reverse").text_hash, read_cubin_info(b.image.bytes, "another").text_hash);
}

TEST_F(Nvrtc, OptionsNameTheHeaders) {
  const NvrtcCompiler other(std::nullopt, {{.name = "a.h", .text = "int a;"}});
  EXPECT_NE(compiler_.options(), other.options());
}

TEST(NvrtcLibrary, AMissingLibraryIsOneSentence) {
  ::setenv("DUET_NVRTC", "/nowhere/libnvrtc.so", 1);
  try {
    NvrtcCompiler().version();
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::missing);
    EXPECT_NE(std::string(error.what()).find("/nowhere/libnvrtc.so"), std::string::npos);
  }
  ::unsetenv("DUET_NVRTC");
}

TEST(NvrtcLibrary, WheelsOfBothMajorsAreFound) {
  const TempDir root;
  for (const char* file : {"cu13/lib/libnvrtc.so.13", "cuda_nvrtc/lib/libnvrtc.so.12"}) {
    const std::filesystem::path path = root.path() / ".deps/nvidia" / file;
    std::filesystem::create_directories(path.parent_path());
    publish_file(path, std::string_view("no library"));
    const std::vector<std::filesystem::path> found = nvrtc_candidates(root.path());
    EXPECT_NE(std::find(found.begin(), found.end(), path), found.end()) << path;
  }
}

TEST(NvrtcLibrary, AMajorMayBeNamedInsteadOfAPath) {
  if (::getenv("DUET_NVRTC") != nullptr) GTEST_SKIP() << "DUET_NVRTC is set";
  ::setenv("DUET_NVRTC", "1", 1);
  EXPECT_THROW(NvrtcCompiler().version(), Error);
  ::setenv("DUET_NVRTC", "13", 1);
  try {
    EXPECT_NE(NvrtcCompiler().version(), "");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::missing);
  }
  ::unsetenv("DUET_NVRTC");
}

TEST(NvrtcLibrary, ADriverThatIsTooOldSaysHowToGetOne) {
  try {
    NvrtcCompiler(1).version();
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::missing);
    EXPECT_NE(std::string(error.what()).find("pip install"), std::string::npos);
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
  }
}

}  // namespace
}  // namespace duet
