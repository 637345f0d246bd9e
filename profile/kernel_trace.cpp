#include "profile/kernel_trace.h"

#include <cstring>
#include <mutex>
#include <utility>

namespace duet {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 20;  // about 4,800 kernels

struct FilledBuffer {
  std::unique_ptr<std::uint8_t[]> bytes;
  std::size_t valid_bytes = 0;
  CUcontext context = nullptr;
  std::uint32_t stream_id = 0;
};

// CUPTI's callbacks carry no argument of ours, and may come on a thread of its own.
struct Inbox {
  std::mutex mutex;
  std::vector<FilledBuffer> buffers;
};

Inbox& inbox() {
  static Inbox instance;
  return instance;
}

// Without memory CUPTI drops the records, and counts them.
void CUDAAPI give_buffer(std::uint8_t** buffer, std::size_t* bytes, std::size_t* max_records) {
  *buffer = new (std::nothrow) std::uint8_t[kBufferBytes];
  *bytes = *buffer != nullptr ? kBufferBytes : 0;
  *max_records = 0;  // as many as fit
}

void CUDAAPI take_buffer(CUcontext context, std::uint32_t stream_id, std::uint8_t* buffer, std::size_t,
                         std::size_t valid_bytes) {
  FilledBuffer filled{std::unique_ptr<std::uint8_t[]>(buffer), valid_bytes, context, stream_id};
  const std::lock_guard lock(inbox().mutex);
  inbox().buffers.push_back(std::move(filled));
}

GridSize as_grid(const std::int32_t (&size)[3]) { return {.x = size[0], .y = size[1], .z = size[2]}; }

KernelRecord to_record(const cupti::KernelActivity& activity) {
  return {.entry = activity.name != nullptr ? activity.name : "",
          .grid = as_grid(activity.grid),
          .block = as_grid(activity.block),
          .registers = activity.registers_per_thread,
          .smem_bytes = activity.static_smem_bytes + activity.dynamic_smem_bytes,
          .start_ns = activity.start_ns,
          .end_ns = activity.end_ns,
          .launch = activity.correlation_id,
          .graph_node = activity.graph_node_id};
}

void read_records(const CuptiLibrary& library, const FilledBuffer& buffer, TracedKernels& kernels) {
  for (void* record = nullptr;;) {
    const cupti::Result result = library.get_next_record(buffer.bytes.get(), buffer.valid_bytes, &record);
    if (result == cupti::kNoMoreRecords) break;
    library.check(result, "cuptiActivityGetNextRecord");
    std::uint32_t kind = 0;
    std::memcpy(&kind, record, sizeof(kind));
    if (kind != cupti::kConcurrentKernel) continue;
    cupti::KernelActivity activity{};
    std::memcpy(&activity, record, sizeof(activity));
    kernels.records.push_back(to_record(activity));
  }
  std::size_t dropped = 0;
  library.check(library.get_dropped(buffer.context, buffer.stream_id, &dropped), "cuptiActivityGetNumDroppedRecords");
  kernels.dropped += dropped;
}

}  // namespace

KernelTrace::KernelTrace(std::shared_ptr<const CuptiLibrary> library) : library_(std::move(library)) {
  library_->check(library_->register_callbacks(give_buffer, take_buffer), "cuptiActivityRegisterCallbacks");
}

KernelTrace::~KernelTrace() {
  if (running_) static_cast<void>(library_->disable(cupti::kConcurrentKernel));
}

void KernelTrace::start() {
  library_->check(library_->enable(cupti::kConcurrentKernel), "cuptiActivityEnable(CONCURRENT_KERNEL)");
  running_ = true;
}

void KernelTrace::stop() {
  // Complete buffers first; the forced flush then gives up those that hold a record without its times.
  library_->check(library_->flush_all(0), "cuptiActivityFlushAll");
  library_->check(library_->flush_all(cupti::kFlushForced), "cuptiActivityFlushAll");
  library_->check(library_->disable(cupti::kConcurrentKernel), "cuptiActivityDisable(CONCURRENT_KERNEL)");
  running_ = false;
}

TracedKernels KernelTrace::take() {
  std::vector<FilledBuffer> buffers;
  {
    const std::lock_guard lock(inbox().mutex);
    buffers.swap(inbox().buffers);
  }
  TracedKernels kernels;
  for (const FilledBuffer& buffer : buffers) read_records(*library_, buffer, kernels);
  return kernels;
}

}  // namespace duet
