// A shared object that looks like CUPTI: it delivers given records through the registered callbacks.
#include "tests/profile/fake_cupti.h"

#include <cstring>
#include <vector>

using namespace duet::cupti;

namespace {

constexpr Result kNotInitialized = 15;

BufferRequested requested = nullptr;
BufferCompleted completed = nullptr;
Result enable_result = kSuccess;
bool enabled = false;
std::vector<std::uint8_t> waiting;  // records, ready to be delivered
std::size_t bytes_of_record = sizeof(KernelActivity);
std::size_t dropped_records = 0;

}  // namespace

extern "C" {

void fake_cupti_answer_enable(Result result) { enable_result = result; }

void fake_cupti_deliver(const KernelActivity* records, std::size_t count, std::size_t record_bytes,
                        std::size_t dropped) {
  waiting.assign(count * record_bytes, 0xab);
  for (std::size_t i = 0; i < count; ++i)
    std::memcpy(waiting.data() + i * record_bytes, &records[i], sizeof(KernelActivity));
  bytes_of_record = record_bytes;
  dropped_records = dropped;
}

Result cuptiGetVersion(std::uint32_t* version) {
  *version = 130000;
  return kSuccess;
}

Result cuptiGetResultString(Result result, const char** text) {
  *text = result == kInsufficientPrivileges ? "CUPTI_ERROR_INSUFFICIENT_PRIVILEGES" : "CUPTI_ERROR_OF_THE_TEST";
  return kSuccess;
}

Result cuptiActivityRegisterCallbacks(BufferRequested on_request, BufferCompleted on_completion) {
  requested = on_request;
  completed = on_completion;
  return kSuccess;
}

Result cuptiActivityEnable(std::uint32_t kind) {
  if (enable_result == kSuccess) enabled = kind == kConcurrentKernel;
  return enable_result;
}

Result cuptiActivityDisable(std::uint32_t) {
  enabled = false;
  return kSuccess;
}

Result cuptiActivityFlushAll(std::uint32_t flag) {
  if (!enabled) return kNotInitialized;
  if (flag == kFlushForced || waiting.empty()) return kSuccess;
  std::uint8_t* buffer = nullptr;
  std::size_t bytes = 0, max_records = 1;
  requested(&buffer, &bytes, &max_records);
  const std::size_t valid = waiting.size() < bytes ? waiting.size() : bytes;
  std::memcpy(buffer, waiting.data(), valid);
  waiting.clear();
  completed(nullptr, 0, buffer, bytes, valid);
  return kSuccess;
}

Result cuptiActivityGetNextRecord(std::uint8_t* buffer, std::size_t valid_bytes, void** record) {
  const std::size_t at =
      *record == nullptr ? 0 : static_cast<std::size_t>(static_cast<std::uint8_t*>(*record) - buffer);
  const std::size_t next = *record == nullptr ? 0 : at + bytes_of_record;
  if (next + bytes_of_record > valid_bytes) return kNoMoreRecords;
  *record = buffer + next;
  return kSuccess;
}

Result cuptiActivityGetNumDroppedRecords(CUcontext, std::uint32_t, std::size_t* dropped) {
  *dropped = dropped_records;
  dropped_records = 0;
  return kSuccess;
}
}
