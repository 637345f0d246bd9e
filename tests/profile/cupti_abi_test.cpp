// What profile/cupti_abi.h states, against CUPTI's own headers where they are installed.
#include "profile/cupti_abi.h"

#include <gtest/gtest.h>

#if __has_include(<cupti.h>)
#include <cupti.h>

namespace duet::cupti {
namespace {

template <typename Record>
constexpr bool begins_alike() {
  return offsetof(Record, kind) == offsetof(KernelActivity, kind) &&
         offsetof(Record, registersPerThread) == offsetof(KernelActivity, registers_per_thread) &&
         offsetof(Record, start) == offsetof(KernelActivity, start_ns) &&
         offsetof(Record, end) == offsetof(KernelActivity, end_ns) &&
         offsetof(Record, gridX) == offsetof(KernelActivity, grid) &&
         offsetof(Record, blockX) == offsetof(KernelActivity, block) &&
         offsetof(Record, staticSharedMemory) == offsetof(KernelActivity, static_smem_bytes) &&
         offsetof(Record, dynamicSharedMemory) == offsetof(KernelActivity, dynamic_smem_bytes) &&
         offsetof(Record, correlationId) == offsetof(KernelActivity, correlation_id) &&
         offsetof(Record, name) == offsetof(KernelActivity, name) &&
         offsetof(Record, graphNodeId) == offsetof(KernelActivity, graph_node_id) &&
         sizeof(Record) >= sizeof(KernelActivity);
}
static_assert(begins_alike<CUpti_ActivityKernel7>());
static_assert(begins_alike<CUpti_ActivityKernel8>());
static_assert(begins_alike<CUpti_ActivityKernel9>());
#if CUPTI_API_VERSION >= 130000
static_assert(begins_alike<CUpti_ActivityKernel10>());
#endif

TEST(CuptiAbi, ConstantsAreCuptis) {
  EXPECT_EQ(kSuccess, CUPTI_SUCCESS);
  EXPECT_EQ(kNoMoreRecords, CUPTI_ERROR_MAX_LIMIT_REACHED);
  EXPECT_EQ(kInsufficientPrivileges, CUPTI_ERROR_INSUFFICIENT_PRIVILEGES);
  EXPECT_EQ(kInsufficientPrivilegesOfVirtualGpu, CUPTI_ERROR_VIRTUALIZED_DEVICE_INSUFFICIENT_PRIVILEGES);
  EXPECT_EQ(kOtherSubscriber, CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED);
  EXPECT_EQ(kConcurrentKernel, static_cast<std::uint32_t>(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL));
  EXPECT_EQ(kFlushForced, static_cast<std::uint32_t>(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED));
}

}  // namespace
}  // namespace duet::cupti

#else

TEST(CuptiAbi, ConstantsAreCuptis) { GTEST_SKIP() << "CUPTI's headers are not installed"; }

#endif
