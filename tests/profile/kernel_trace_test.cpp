// Recording through a CUPTI of functions, and what is said where there is none or it refuses.
#include "profile/kernel_trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <fstream>

#include "tests/profile/fake_cupti.h"
#include "tests/support/error_of.h"
#include "tests/support/temp_dir.h"

namespace duet {
namespace {

using testing::AllOf;
using testing::HasSubstr;

cupti::KernelActivity activity(const char* name, std::uint64_t start_ns, std::uint64_t end_ns) {
  cupti::KernelActivity activity{};
  activity.kind = cupti::kConcurrentKernel;
  activity.registers_per_thread = 168;
  activity.start_ns = start_ns;
  activity.end_ns = end_ns;
  activity.grid[0] = 12, activity.grid[1] = 3, activity.grid[2] = 1;
  activity.block[0] = 128, activity.block[1] = activity.block[2] = 1;
  activity.static_smem_bytes = 16;
  activity.dynamic_smem_bytes = 4096;
  activity.correlation_id = 42;
  activity.name = name;
  activity.graph_node_id = 99;
  return activity;
}

class Trace : public testing::Test {
 protected:
  ~Trace() override { fake_cupti_answer_enable(cupti::kSuccess); }
  KernelTrace trace_{CuptiLibrary::open_file(DUET_FAKE_CUPTI)};
};

TEST_F(Trace, ReadsRecordsOfEveryLength) {
  for (const std::size_t record_bytes : {208U, 216U, 240U}) {  // CUDA 12, 13, and one to come
    const std::vector<cupti::KernelActivity> given{activity("gemm", 1000, 3000), activity("attention", 3000, 4000)};
    trace_.start();
    fake_cupti_deliver(given.data(), given.size(), record_bytes, 3);
    trace_.stop();
    const TracedKernels kernels = trace_.take();
    ASSERT_EQ(kernels.records.size(), 2U);
    EXPECT_EQ(kernels.records[0], (KernelRecord{.entry = "gemm",
                                                .grid = {.x = 12, .y = 3, .z = 1},
                                                .block = {.x = 128, .y = 1, .z = 1},
                                                .registers = 168,
                                                .smem_bytes = 4112,
                                                .start_ns = 1000,
                                                .end_ns = 3000,
                                                .launch = 42,
                                                .graph_node = 99}));
    EXPECT_EQ(kernels.records[1].entry, "attention");
    EXPECT_EQ(kernels.dropped, 3U);
    EXPECT_TRUE(trace_.take().records.empty());
  }
}

TEST_F(Trace, OtherKindsAreLeftOutAndAKernelMayBeNameless) {
  std::vector<cupti::KernelActivity> given{activity("overhead", 1, 2), activity(nullptr, 1, 2)};
  given[0].kind = 17;
  trace_.start();
  fake_cupti_deliver(given.data(), given.size(), 216, 0);
  trace_.stop();
  const TracedKernels kernels = trace_.take();
  ASSERT_EQ(kernels.records.size(), 1U);
  EXPECT_EQ(kernels.records[0].entry, "");
}

TEST_F(Trace, WithoutPermissionTheNextStepIsNamed) {
  fake_cupti_answer_enable(cupti::kInsufficientPrivileges);
  EXPECT_THAT(error_of(ErrorKind::missing, [&] { trace_.start(); }),
              AllOf(HasSubstr("CUPTI_ERROR_INSUFFICIENT_PRIVILEGES"), HasSubstr("run as root"),
                    HasSubstr("NVreg_RestrictProfilingToAdminUsers=0")));
}

TEST_F(Trace, AnotherProfilerIsNamed) {
  fake_cupti_answer_enable(cupti::kOtherSubscriber);
  EXPECT_THAT(error_of(ErrorKind::missing, [&] { trace_.start(); }), HasSubstr("another profiler"));
}

TEST_F(Trace, AnyOtherFailureNamesTheCallAndTheLibrary) {
  fake_cupti_answer_enable(999);
  EXPECT_THAT(error_of(ErrorKind::device, [&] { trace_.start(); }),
              AllOf(HasSubstr("cuptiActivityEnable"), HasSubstr(DUET_FAKE_CUPTI)));
}

TEST(CuptiLibrary, AFileThatIsNoneIsNamed) {
  EXPECT_THAT(error_of(ErrorKind::missing, [] { CuptiLibrary::open_file("/nowhere/libcupti.so"); }),
              HasSubstr("/nowhere/libcupti.so"));
  EXPECT_THAT(error_of(ErrorKind::missing, [] { CuptiLibrary::open_file("libm.so.6"); }),
              HasSubstr("lacks functions of CUPTI"));
}

TEST(CuptiLibrary, AbsenceSaysHowToGetOne) {
  ::unsetenv("DUET_CUPTI");
  EXPECT_THAT(error_of(ErrorKind::missing, [] { CuptiLibrary::open(1); }),  // no library is that old
              AllOf(HasSubstr("CUDA 1 or older"), HasSubstr("pip install nvidia-cuda-cupti"), HasSubstr("DUET_CUPTI"),
                    HasSubstr("duet bench")));
}

TEST(CuptiLibrary, TheVersionTellsTheCudaMajor) {
  const auto major = [](std::uint32_t version) {
    CuptiLibrary library;
    library.version = version;
    return library.cuda_major();
  };
  EXPECT_EQ(major(17), 11);
  EXPECT_EQ(major(28), 12);
  EXPECT_EQ(major(130001), 13);
  EXPECT_EQ(major(140000), 14);
}

void touch(const std::filesystem::path& path) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << "no library";
}

TEST(CuptiLibrary, ToolkitsAndWheelsAreSearchedNewestFirst) {
  const TempDir root;
  const std::filesystem::path older = root.path() / "toolkit/extras/CUPTI/lib64/libcupti.so.12";
  const std::filesystem::path newer = root.path() / ".deps/nvidia/cu13/lib/libcupti.so.13";
  const std::filesystem::path other = root.path() / ".deps/nvidia/cuda_cupti/lib/libcupti.so.12";
  for (const std::filesystem::path& path : {older, newer, other}) touch(path);
  ::setenv("CUDA_HOME", (root.path() / "toolkit").c_str(), 1);
  const std::vector<std::filesystem::path> found = cupti_candidates(root.path());
  ::unsetenv("CUDA_HOME");
  const auto at = [&](const std::filesystem::path& path) { return std::find(found.begin(), found.end(), path); };
  EXPECT_LT(at(newer), at(older));
  EXPECT_LT(at(older), at(other));
  EXPECT_LT(at(other), found.end());
  EXPECT_EQ(found.back(), "libcupti.so");
}

}  // namespace
}  // namespace duet
