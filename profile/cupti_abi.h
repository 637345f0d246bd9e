// The part of CUPTI's C interface that is used here, by its documentation: no header of a toolkit is needed to build.
// tests/profile/cupti_abi_test.cpp compares it with CUPTI's own headers where these are installed.
#pragma once

#include <cuda.h>

#include <cstddef>
#include <cstdint>

namespace duet::cupti {

using Result = int;
constexpr Result kSuccess = 0;
constexpr Result kNoMoreRecords = 12;  // CUPTI_ERROR_MAX_LIMIT_REACHED
constexpr Result kInsufficientPrivileges = 35;
constexpr Result kOtherSubscriber = 39;
constexpr Result kInsufficientPrivilegesOfVirtualGpu = 40;

// CONCURRENT_KERNEL; plain KERNEL would make the streams we want to see overlap run one after another.
constexpr std::uint32_t kConcurrentKernel = 10;
constexpr std::uint32_t kFlushForced = 1;

// The fields that CUpti_ActivityKernel7 to 10 (CUDA 12.0 to 13) begin with, at the same offsets in all of them.
struct KernelActivity {
  std::uint32_t kind;
  std::uint8_t cache_config;
  std::uint8_t shared_memory_config;
  std::uint16_t registers_per_thread;
  std::uint32_t partitioned_cache_requested;
  std::uint32_t partitioned_cache_executed;
  std::uint64_t start_ns;
  std::uint64_t end_ns;
  std::uint64_t completed_ns;
  std::uint32_t device_id;
  std::uint32_t context_id;
  std::uint32_t stream_id;
  std::int32_t grid[3];
  std::int32_t block[3];
  std::int32_t static_smem_bytes;
  std::int32_t dynamic_smem_bytes;
  std::uint32_t local_bytes_per_thread;
  std::uint32_t local_bytes;
  std::uint32_t correlation_id;
  std::int64_t grid_id;
  const char* name;
  void* reserved;
  std::uint64_t queued_ns;
  std::uint64_t submitted_ns;
  std::uint8_t launch_type;
  std::uint8_t carveout_is_requested;
  std::uint8_t carveout_requested;
  std::uint8_t padding;
  std::uint32_t smem_bytes_of_sm;
  std::uint64_t graph_node_id;
};
static_assert(sizeof(KernelActivity) == 152);

using BufferRequested = void(CUDAAPI*)(std::uint8_t** buffer, std::size_t* bytes, std::size_t* max_records);
using BufferCompleted = void(CUDAAPI*)(CUcontext context, std::uint32_t stream_id, std::uint8_t* buffer,
                                       std::size_t bytes, std::size_t valid_bytes);

}  // namespace duet::cupti
